"""Integrated Hessians."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.subjects import MIXING, ROWS, TILT, neural, ragged, smooth

import assay
from assay.basics.errors import CapabilityError, InputError
from assay.cases.case import Case
from assay.engine.gradients.quadrature import gauss_logarithm
from assay.explain import integrated_gradients, integrated_hessians
from assay.model.transformations.softplus_surrogate import softplus_surrogate


class Formula(torch.nn.Module):
    """A function of the rows with one parameter, so that it is a net."""

    def __init__(self, formula: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.formula, self.one = formula, torch.nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.one * self.formula(x)[:, None]


def make_case(formula: Callable[[torch.Tensor], torch.Tensor], x: np.ndarray = ROWS, **options: Any) -> Case:
    return assay.case(assay.model.torch(Formula(formula), gives="values"), torch.as_tensor(x), **options)


def test_of_a_quadratic_form_it_is_known_in_closed_form() -> None:
    mixing, tilt = torch.as_tensor(MIXING), torch.as_tensor(TILT)
    case = make_case(lambda x: torch.einsum("ni,ij,nj->n", x, mixing, x) + x @ tilt)
    start = 0.3
    found = integrated_hessians(case, start=start, steps=2)
    delta = ROWS - start
    alone = delta * (TILT + 2 * MIXING.sum(axis=1) * start)  # first order at the start; Σ_j of the bends below
    bends = 2 * MIXING * delta[:, :, None] * delta[:, None, :] / 4
    first = alone + (2 * MIXING @ delta.T).T * delta / 4
    assert_allclose(found.extra["interactions"], bends + first[:, :, None] * np.eye(4), atol=1e-12)
    assert_allclose(found.values, integrated_gradients(case, start=start, steps=4).values, atol=1e-12)


def test_a_product_is_half_main_effect_and_half_interaction() -> None:
    found = integrated_hessians(make_case(lambda x: x[:, 0] * x[:, 1], np.array([[3.0, 2.0]])), steps=1)
    assert_allclose(found.extra["interactions"], [[[1.5, 1.5], [1.5, 1.5]]], atol=1e-12)
    assert_allclose(found.values, [[3.0, 3.0]], atol=1e-12)


def test_on_a_smooth_net_it_is_the_double_integral_of_finite_differences(tanh_case: Case) -> None:
    """Gauss–Legendre in α and β, second derivatives by differences of the target itself."""
    x, width = np.asarray(tanh_case.rows.x), 1e-4
    nodes, weights = np.polynomial.legendre.leggauss(12)
    nodes, weights = (nodes + 1) / 2, weights / 2
    units = np.eye(5) * width

    def target(points: np.ndarray) -> np.ndarray:
        return tanh_case.value(torch.as_tensor(points))

    slow = np.zeros((3, 5, 5))
    for alpha, heft in zip(nodes, weights):
        for beta, other in zip(nodes, weights):
            z = alpha * beta * x
            for i in range(5):
                slope = (target(z + units[i]) - target(z - units[i])) / (2 * width)
                slow[:, i, i] += heft * other * x[:, i] * slope
                for j in range(5):
                    corner = target(z + units[i] + units[j]) - target(z + units[i] - units[j])
                    corner = corner - target(z - units[i] + units[j]) + target(z - units[i] - units[j])
                    slow[:, i, j] += heft * other * alpha * beta * x[:, i] * x[:, j] * corner / (4 * width**2)
    found = integrated_hessians(tanh_case)
    assert_allclose(found.extra["interactions"], slow, atol=2e-6)
    off = slow - slow * np.eye(5)
    assert np.abs(off).max() > 0.05


def test_values_are_integrated_gradients_and_the_pairs_are_symmetric(tanh_case: Case) -> None:
    found = integrated_hessians(tanh_case, start=-0.2, steps=24)
    pairs = found.extra["interactions"]
    assert_allclose(found.values, integrated_gradients(tanh_case, start=-0.2, steps=48).values, atol=1e-9)
    assert_allclose(pairs.sum(axis=2), found.values, atol=1e-12)
    assert np.array_equal(pairs, np.swapaxes(pairs, 1, 2))
    assert np.abs(found.residual).max() < 1e-9


def test_parts_of_several_elements_have_the_sum_over_their_elements() -> None:
    cut = assay.integer_map(np.array([0, 1, 1, 0]))
    case = neural()
    fine = integrated_hessians(case).extra["interactions"]
    coarse = integrated_hessians(assay.case(case.model, case.rows.x, label=1, features=cut)).extra["interactions"]
    belongs = np.array([[1, 0, 0, 1], [0, 1, 1, 0]], dtype=float)
    assert_allclose(coarse, belongs @ fine @ belongs.T, atol=1e-12)


def test_elements_of_no_part_stay_where_they_are() -> None:
    found = integrated_hessians(ragged(), steps=24)
    assert_allclose(found.values, integrated_gradients(ragged(), steps=48).values, atol=1e-9)
    assert not found.extra["interactions"][2, 2].any()  # the third picture has no third part


def test_with_relu_interactions_are_0_and_with_softplus_they_are_not() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    case = assay.case(assay.wrap(net), torch.as_tensor(ROWS), label=1)
    sharp = integrated_hessians(case)
    pairs = sharp.extra["interactions"]
    assert not (pairs * (1 - np.eye(4))).any()
    soft = integrated_hessians(
        assay.case(softplus_surrogate(case.model, sharpness=4.0), case.rows.x, label=1), steps=48
    )
    assert np.abs(sharp.residual).max() > 0.1 > 1e-4 > np.abs(soft.residual).max()


@pytest.mark.parametrize("rows", [1, 2])
def test_nodes_and_parts_are_grouped_to_fill_whole_batches(rows: int) -> None:
    sizes: list[int] = []

    def counted(x: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        return x.sin().prod(dim=1)

    model = assay.model.torch(Formula(counted), gives="values", batch=64)
    case = assay.case(model, torch.as_tensor(ROWS[:rows]))
    room = case.max_batch_rows(8)  # a second derivative stores a row's activations eight times
    assert room == 8
    integrated_hessians(case, steps=8)
    full = [size for size in sizes if size > 3]  # without the target at the rows and the start, and checks of the model
    assert full == [room] * (rows * 8 * (1 + 4) // room)


def test_it_is_complete_on_digits_of_a_trained_net(digits: Callable[..., Case]) -> None:
    found = integrated_hessians(digits(rows=2), steps=16)
    assert found.extra["interactions"].shape == (2, 16, 16)
    assert np.abs(found.residual).max() < 1e-2 * np.abs(found.output - found.base).min()


@pytest.mark.parametrize("steps", [1, 2, 5, 16, 64])
def test_the_rule_is_exact_for_polynomials(steps: int) -> None:
    places, weights = np.array(gauss_logarithm(steps)).T
    degrees = np.arange(2 * steps)
    found = (weights[:, None] * places[:, None] ** degrees).sum(axis=0)
    assert_allclose(found, 1 / (degrees + 1.0) ** 2, rtol=1e-12)
    assert ((places > 0) & (places < 1) & (weights > 0)).all()


def test_unsupported_cases_are_refused() -> None:
    with pytest.raises(InputError, match="steps=0"):
        integrated_hessians(neural(), steps=0)
    with pytest.raises(CapabilityError, match="needs a torch net"):
        integrated_hessians(smooth())
    with pytest.raises(CapabilityError, match="second derivatives need a torch net"):
        smooth().curvature(ROWS, ROWS)
