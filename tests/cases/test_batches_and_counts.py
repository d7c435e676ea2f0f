"""Batches change nothing, shrink until they fit, and are counted by row."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tests.cases import nets
from tests.cases.small_models import X, classifier, voting

import assay
from assay import explain


@pytest.mark.parametrize("batch", [1, 2, 5, 6, 100])
def test_the_batch_size_changes_nothing(batch: int) -> None:
    case, other = assay.case(classifier(), X), assay.case(classifier(batch=batch), X)
    assert_allclose(other.output, case.output, atol=1e-6)
    assert_allclose(other.gradient(other.rows.x), case.gradient(case.rows.x), atol=1e-6)
    background = assay.Marginal(X[:3])
    one, two = explain.shapley(case, remove=background), explain.shapley(other, remove=background)
    assert_allclose(two.values, one.values, atol=1e-6)
    assert one.provenance.cost == two.provenance.cost


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_batches_are_halved_until_they_fit(error: Exception) -> None:
    sizes = []

    def model(x: np.ndarray) -> np.ndarray:
        sizes.append(len(x))
        if len(x) > 2:
            raise error
        return x[:, 0]

    wrapped = assay.model.function(model)
    assert_array_equal(assay.case(wrapped, X).output, X[:, 0])
    assert sizes[-3:] == [2, 2, 2]
    assert wrapped.meter.forwards == 6


def test_memory_that_does_not_do_for_one_row_is_an_error() -> None:
    def model(x: np.ndarray) -> np.ndarray:
        raise MemoryError

    with pytest.raises(MemoryError):
        assay.case(assay.model.function(model), X).value(X)


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    calls = []

    def model(x: np.ndarray) -> np.ndarray:
        calls.append(1)
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        assay.case(assay.model.function(model), X).value(X)
    assert len(calls) == 1


def test_forwards_and_backwards_are_counted_by_row() -> None:
    case = assay.case(classifier(), X)
    meter = case.model.meter
    assert (meter.forwards, meter.backwards) == (6, 0)
    case.gradient(case.rows.x)
    assert (meter.forwards, meter.backwards) == (12, 6)
    assert len(case.output) == len(case.output) == 6
    assert meter.forwards == 18


def test_whoever_listens_hears_every_batch() -> None:
    model = voting(batch=4)
    heard: list[tuple[int, int]] = []
    model.meter.listener = lambda forwards, backwards: heard.append((forwards, backwards))
    assay.case(model, X)
    assert heard == [(4, 0), (2, 0)]


def test_rows_do_not_depend_on_their_neighbours_or_their_order() -> None:
    ids = list("abcdef")
    case = assay.case(classifier(), X, ids=ids)
    alone = assay.case(classifier(), X[[3]], ids=["d"])
    assert_allclose(explain.smooth_grad(alone).values[0], explain.smooth_grad(case).values[3], atol=1e-6)


def test_a_moved_case_keeps_its_labels() -> None:
    case = assay.case(voting(), X)
    moved = case.at(-X)
    assert_array_equal(moved.label, case.label)
    assert_allclose(moved.output, -case.output)
    assert_array_equal(case.rows.x, X)


def test_a_live_case_lets_gradients_through_an_explanation() -> None:
    case = assay.case(assay.model.torch(nets.small()), X, label=0)
    x = case.rows.x.clone().requires_grad_(True)
    slope = replace(case, live=True).at(x).gradient(x)
    (second,) = torch.autograd.grad((slope**2).sum(), x)
    assert second.abs().sum() > 0
    assert not case.gradient(case.rows.x).requires_grad
