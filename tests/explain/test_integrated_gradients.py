"""Integrated gradients."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import assay
from assay import examples, explain
from assay.cases.case import Case


def test_on_a_linear_model_it_is_weight_times_difference() -> None:
    assert_allclose(explain.integrated_gradients(examples.linear((2, -1)), start=0.5).values, [[1.0, -0.5]])


def test_on_a_quadratic_it_is_known_with_one_node() -> None:
    a, x = np.array([[1.0, 2.0], [-1.0, 3.0]]), np.array([0.5, -2.0])
    assert_allclose(explain.integrated_gradients(examples.quadratic(a, x), steps=1).values, [x * ((a + a.T) @ x) / 2])


@pytest.mark.parametrize("steps", [2, 3])
def test_a_polynomial_is_shared_out_exactly(steps: int) -> None:
    power = 2 * steps
    case = examples.analytic(lambda x: x[:, 0] ** power, lambda x: power * x ** (power - 1), [[1.5]], f"power {power}")
    assert_allclose(explain.integrated_gradients(case, steps=steps).values, [[1.5**power]], rtol=1e-12)


def test_ten_nodes_are_complete_on_a_smooth_net(tanh_case: Case) -> None:
    result = explain.integrated_gradients(tanh_case, steps=10)
    assert np.abs(result.residual).max() <= 1e-6
    assert np.abs(result.values).max() > 0.1


def test_it_sees_what_saliency_misses_behind_a_saturated_unit() -> None:
    case = examples.saturated()
    assert_allclose(explain.integrated_gradients(case, steps=200).values, [[-1.0]], atol=0.01)
    assert explain.saliency(case).values.tolist() == [[0.0]]


def test_a_saturated_torch_unit_gives_minus_one() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU()).double()
    with torch.no_grad():
        net[0].weight.fill_(-1.0)
        net[0].bias.fill_(1.0)
    case = assay.case(assay.model.torch(net, gives="values"), torch.tensor([[2.0]], dtype=torch.float64))
    assert_allclose(explain.integrated_gradients(case, steps=200).values, [[-1.0]], atol=0.01)
    assert explain.saliency(case).values.tolist() == [[0.0]]


def test_on_a_digit_it_accounts_for_the_logit(digits: Callable[..., Case]) -> None:
    result = explain.integrated_gradients(digits(rows=5))
    assert np.abs(result.residual).max() <= 1e-4 * np.abs(result.output - result.base).max()


def test_one_row_alone_gets_what_it_gets_among_others(digits: Callable[..., Case]) -> None:
    case = digits()
    assert_allclose(
        explain.integrated_gradients(case.take([2])).values, explain.integrated_gradients(case).values[[2]], atol=1e-6
    )
