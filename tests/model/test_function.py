"""The adapter for functions."""

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose

import assay
from assay.basics.errors import InputError

X = np.random.default_rng(0).normal(size=(5, 3))


def test_a_function_gets_rows_in_the_callers_form() -> None:
    seen: list[Any] = []

    def model(frame: pl.DataFrame) -> Any:
        seen.append(frame)
        return frame["a"]

    frame = pl.DataFrame({"a": [1.0, 2.0], "t": ["x", "y"]})
    assert_allclose(assay.case(assay.wrap(model, output="values"), frame).output, [1.0, 2.0])
    assert all(isinstance(f, pl.DataFrame) and f.schema == frame.schema for f in seen)


@pytest.mark.parametrize(
    "answer", [lambda x: x[:, 0], lambda x: x[:, :1], lambda x: x[:, 0].tolist(), lambda x: torch.tensor(x[:, 0])]
)
def test_one_output_may_come_as_vector_column_list_or_tensor(answer: Any) -> None:
    assert_allclose(assay.case(assay.wrap(answer, output="values"), X).output, X[:, 0])


@pytest.mark.parametrize(
    ("answer", "message"), [(lambda x: x[:2, 0], r"\(2, 1\) for 3"), (lambda x: x[:, :, None], r"\(3, 3, 1\) for 3")]
)
def test_outputs_of_another_shape_are_refused(answer: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        assay.case(assay.wrap(answer, output="values"), X).value(X)


@pytest.mark.parametrize(
    "answer", [lambda x: None, lambda x: x[:, 0] + 1j, lambda x: {"a": x[:, 0]}, lambda x: ["a"] * 3]
)
def test_outputs_that_are_no_real_numbers_are_refused(answer: Any) -> None:
    with pytest.raises(InputError, match="is no array of numbers"):
        assay.case(assay.wrap(answer, output="values"), X).value(X)


def test_preprocess_runs_before_the_function_and_output_after() -> None:
    model = assay.model.function(lambda x: {"y": x[:, 0]}, preprocess=lambda x: x * 10, output=lambda out: out["y"])
    assert_allclose(assay.case(model, X).output, 10 * X[:, 0])


def test_a_function_may_write_into_its_argument() -> None:
    def model(x: np.ndarray) -> np.ndarray:
        x *= 2
        return x[:, 0]

    case = assay.case(assay.wrap(model, output="values"), X)
    assert_allclose(case.value(case.rows.x), 2 * X[:, 0])
    assert_allclose(case.rows.x, X)


def test_a_gradient_of_class_scores_is_refused() -> None:
    with pytest.raises(InputError, match=r"gradient needs gives='values' .*; this one gives logits"):
        assay.model.function(lambda x: x, gives="logits", gradient=lambda x: x)


def test_functions_that_close_over_other_numbers_are_other_models() -> None:
    def weighted(w: np.ndarray) -> assay.Model:
        return assay.wrap(lambda x: x @ w, output="values")

    assert weighted(np.ones(3)).fingerprint == weighted(np.ones(3)).fingerprint
    assert weighted(np.ones(3)).fingerprint != weighted(np.zeros(3)).fingerprint


def test_the_fingerprint_includes_the_preprocess() -> None:
    def model(x: np.ndarray) -> np.ndarray:
        return x[:, 0]

    plain, scaled = assay.wrap(model, output="values"), assay.wrap(model, output="values", preprocess=lambda x: x / 2)
    assert plain.fingerprint != scaled.fingerprint
    assert assay.model.function(model, fingerprint="mine").fingerprint == "mine"
