"""VarGrad."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.explain.nets import noisy

from assay import examples, explain
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.nouns.inputs.features import integer_map


def test_it_is_the_unbiased_variance_of_noisy_gradients() -> None:
    case = examples.quadratic([[1.0, 0.5], [0.0, 2.0]], [[1.0, 4.0], [0.0, 1.0]], seed=9)
    gradients = np.stack([case.gradient(point) for point in noisy(case, 0.2, 6)])
    assert_allclose(explain.var_grad(case, noise=0.2, draws=6).values, gradients.var(axis=0, ddof=1))


def test_on_a_linear_model_it_is_zero() -> None:
    assert_array_equal(explain.var_grad(examples.linear((2, -1), x=[1.0, 7.0])).values, 0.0)


def test_on_a_square_it_tends_to_the_variance_of_its_slope() -> None:
    case = examples.analytic(lambda x: (x**2).sum(axis=1), lambda x: 2 * x, [[0.0, 1.0]], "squares")
    found = explain.var_grad(case, noise=0.5, draws=4000).values
    assert_allclose(found, [[1.0, 1.0]], rtol=0.1)  # slope 2x, σ = 0.5: variance 4 · 0.25


def test_parts_of_several_elements_get_the_sum() -> None:
    cut = examples.quadratic([[1.0, 0.5], [0.0, 2.0]], [1.0, 4.0]), integer_map([0, 0])
    from dataclasses import replace

    whole = explain.var_grad(cut[0]).values
    assert_allclose(explain.var_grad(replace(cut[0], features=cut[1])).values, whole.sum(1, keepdims=True))


@pytest.mark.parametrize("draws", [0, 1])
def test_a_variance_needs_two_draws(draws: int) -> None:
    with pytest.raises(InputError, match=f"draws={draws}"):
        explain.var_grad(examples.product(), draws=draws)


def test_a_draw_costs_one_forward_and_one_backward(tanh_case: Case) -> None:
    meter, _ = tanh_case.model.meter, tanh_case.output
    requested, backwards = meter.requested, meter.backwards
    explain.var_grad(tanh_case, draws=7)
    assert (meter.requested - requested, meter.backwards - backwards) == (21, 21)


def test_a_digit_gets_what_it_gets_among_others(digits: Callable[..., Case]) -> None:
    case = digits()
    whole = explain.var_grad(case).values
    assert (whole >= 0).all()
    assert whole.max() > 0
    assert_allclose(explain.var_grad(case.take([2, 0])).values, whole[[2, 0]], rtol=1e-4)
