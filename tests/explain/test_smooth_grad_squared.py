"""SmoothGrad squared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.testing import assert_allclose
from tests.explain.nets import noisy

from assay import examples, explain
from assay.cases.case import Case


def test_it_is_the_mean_square_of_noisy_gradients() -> None:
    case = examples.quadratic([[1.0, 0.5], [0.0, 2.0]], [[1.0, 4.0], [0.0, 1.0]], seed=9)
    squares = np.stack([case.gradient(point) ** 2 for point in noisy(case, 0.2, 6)])
    found = explain.smooth_grad_squared(case, noise=0.2, draws=6)
    assert_allclose(found.values, squares.mean(axis=0))
    assert_allclose(found.stderr, squares.std(axis=0, ddof=1) / np.sqrt(6))


def test_it_is_the_square_of_smooth_grad_and_var_grad(tanh_case: Case) -> None:
    draws, options = 9, {"noise": 0.3}
    mean = explain.smooth_grad(tanh_case, draws=draws, **options).values
    spread = explain.var_grad(tanh_case, draws=draws, **options).values * (draws - 1) / draws
    found = explain.smooth_grad_squared(tanh_case, draws=draws, **options).values
    assert_allclose(found, mean**2 + spread, rtol=1e-9)


def test_without_noise_it_is_the_square_of_the_gradient(tanh_case: Case) -> None:
    plain = explain.saliency(tanh_case, signed=True).values
    assert_allclose(explain.smooth_grad_squared(tanh_case, noise=0.0, draws=3).values, plain**2, atol=1e-12)


def test_a_draw_costs_one_forward_and_one_backward(tanh_case: Case) -> None:
    meter, _ = tanh_case.model.meter, tanh_case.output
    requested, backwards = meter.requested, meter.backwards
    explain.smooth_grad_squared(tanh_case, draws=7)
    assert (meter.requested - requested, meter.backwards - backwards) == (21, 21)


def test_a_digit_gets_what_it_gets_among_others(digits: Callable[..., Case]) -> None:
    case = digits()
    whole = explain.smooth_grad_squared(case).values
    assert (whole >= 0).all()
    assert whole.max() > 0
    assert_allclose(explain.smooth_grad_squared(case.take([2, 0])).values, whole[[2, 0]], rtol=1e-4)
