"""Models that misbehave are refused: randomness, state, the company of other rows, broken outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.sparse import csr_array
from torch import nn

import assay
from assay.basics.errors import CapabilityError, InputError
from assay.model import function

X = np.random.default_rng(0).normal(size=(6, 3))


class Dropout(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 40)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(self.inner(x), 0.5)


class InPlace(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mul_(2)


def counter() -> Any:
    calls = [0]

    def call(x: np.ndarray) -> np.ndarray:
        calls[0] += 1
        return x[:, 0] + calls[0]

    return call


def noisy(x: np.ndarray) -> np.ndarray:
    return x[:, 0] + np.random.default_rng().normal(size=len(x))


def standardised(x: np.ndarray) -> np.ndarray:
    return (x[:, 0] - x[:, 0].mean()) / (x[:, 0].std() + 1)


def ranked(x: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(x[:, 0])).astype(float)


def first_row_matters(x: np.ndarray) -> np.ndarray:
    return x[:, 0] + x[0, 0]


BROKEN = {
    "dropout that is always active": (lambda: assay.wrap(Dropout().eval()), "second call"),
    "a state": (lambda: function(counter()), "second call"),
    "random numbers": (lambda: function(noisy), "second call"),
    "normalisation over the batch": (lambda: function(standardised), "other rows of the batch"),
    "ranks": (lambda: function(ranked), "other rows of the batch"),
    "the order of the rows": (lambda: function(first_row_matters), "other rows of the batch"),
    "batch norm without statistics": (
        lambda: assay.wrap(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False)).eval()),
        "other rows of the batch",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("method", ["shapley", "occlusion"])
def test_a_model_that_is_no_function_of_a_row_is_refused(kind: str, method: str) -> None:
    make, message = BROKEN[kind]
    with pytest.raises(CapabilityError, match=message):
        getattr(assay.explain, method)(assay.case(make(), X, label=0), remove=assay.Marginal(X))


@pytest.mark.parametrize("name", ["integrated_gradients", "saliency", "smooth_grad"])
def test_gradients_of_such_a_net_are_refused_too(name: str) -> None:
    with pytest.raises(CapabilityError, match="second call"):
        getattr(assay.explain, name)(assay.case(assay.wrap(Dropout().eval()), X, label=1))


def test_a_net_that_works_in_place_gets_a_copy_and_is_right() -> None:
    case = assay.case(assay.wrap(InPlace()), X, label=1)
    np.testing.assert_allclose(case.output, 2 * X[:, 1], rtol=1e-6)
    np.testing.assert_allclose(case.rows.x.numpy(), X.astype(np.float32))


def test_a_function_that_writes_into_its_input_gets_a_copy_and_is_right() -> None:
    def doubled(x: np.ndarray) -> np.ndarray:
        x *= 2
        return x[:, 0]

    case = assay.case(function(doubled), X)
    np.testing.assert_allclose(case.output, 2 * X[:, 0])
    np.testing.assert_allclose(case.output, case.value(case.rows.x))


def test_the_check_is_made_once_and_its_passes_are_not_counted() -> None:
    calls: list[int] = []

    def call(x: np.ndarray) -> np.ndarray:
        calls.append(len(x))
        return x[:, 0]

    model = function(call)
    assay.case(model, X).value(X)
    assert sum(calls) == 3 + 3 + 3 + 1 + len(X)
    assert model.meter.forwards == len(X)
    assay.case(model, X[:4]).value(X[:4])
    assert model.meter.forwards == len(X) + 4
    assert sum(calls) == 10 + len(X) + 4


def test_rows_with_nan_outputs_are_named() -> None:
    model = function(lambda x: np.where(x[:, 0] > 0, np.nan, 1.0)[:, None] * np.ones(2), gives="logits")
    with pytest.raises(InputError, match=f"NaN for {int((X[:, 0] > 0).sum())} of 6 rows"):
        assay.case(model, X, label="predicted")


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([0.2, 1.3], "said to give probabilities"),
        ([0.5, 0.9], "sum to 1.4"),
        ([-0.5, 1.5], "said to give probabilities"),
    ],
)
def test_outputs_that_are_no_probabilities_are_refused(outputs: list[float], message: str) -> None:
    model = function(lambda x: np.tile(outputs, (len(x), 1)), gives="probabilities")
    with pytest.raises(InputError, match=message):
        assay.case(model, X, label="predicted")


def test_probabilities_of_independent_labels_may_sum_to_anything() -> None:
    model = function(lambda x: np.tile([0.6, 0.9], (len(x), 1)), gives="multilabel probabilities")
    case = assay.case(model, X, label=0)
    np.testing.assert_allclose(case.output, 0.6)
    np.testing.assert_array_equal(case.with_target("decision").output, 1)


@pytest.mark.parametrize("container", [list, tuple, pd.Series, pl.Series, torch.as_tensor, csr_array])
def test_an_output_in_another_container_is_right(container: Any) -> None:
    model = function(lambda x: container(x[:, :2]) if container is csr_array else container(x[:, 0]))
    np.testing.assert_allclose(assay.case(model, X).output, X[:, 0])


@pytest.mark.parametrize("container", [lambda x: {"scores": x}, lambda x: [str(v) for v in x], lambda x: None])
def test_an_output_that_is_no_array_of_numbers_is_refused(container: Any) -> None:
    with pytest.raises(InputError, match=r"no array of numbers|returned shape"):
        assay.case(function(lambda x: container([*x[:, 0], "x"])), X).value(X)


def test_an_output_of_another_length_is_refused() -> None:
    with pytest.raises(InputError, match="for 3 rows"):
        assay.case(function(lambda x: x[:-1, 0]), X).value(X)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_model_that_was_refused_is_refused_again(kind: str) -> None:
    make, message = BROKEN[kind]
    model = make()
    for _ in range(2):
        with pytest.raises(CapabilityError, match=message):
            assay.case(model, X.astype(np.float32), label=None).prediction  # noqa: B018  # reading evaluates


def test_a_model_that_passed_on_a_single_row_is_checked_on_several() -> None:
    model = function(standardised)
    assert assay.case(model, X[:1]).output.shape == (1,)
    with pytest.raises(CapabilityError, match="other rows of the batch"):
        assay.case(model, X).output  # noqa: B018  # reading evaluates


def test_the_passes_of_the_check_are_no_calls_of_a_layer() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)).eval()
    case = assay.case(assay.wrap(net), torch.ones(2, 1, 4, 4), label=None)  # not evaluated before
    assert "'1' is used" in assay.explain.cam(case).notes[0].text
