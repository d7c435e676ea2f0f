"""Integrated gradients."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import assay
from assay import examples, explain
from assay.basics.errors import InputError
from assay.cases.case import Case


def test_on_a_linear_model_it_is_weight_times_difference() -> None:
    assert_allclose(explain.integrated_gradients(examples.linear((2, -1)), start=0.5).values, [[1.0, -0.5]])


def test_on_a_quadratic_it_is_known_with_one_node() -> None:
    a, x = np.array([[1.0, 2.0], [-1.0, 3.0]]), np.array([0.5, -2.0])
    assert_allclose(explain.integrated_gradients(examples.quadratic(a, x), steps=1).values, [x * ((a + a.T) @ x) / 2])


@pytest.mark.parametrize("steps", [2, 3])
def test_a_polynomial_is_attributed_exactly(steps: int) -> None:
    power = 2 * steps
    case = examples.analytic(lambda x: x[:, 0] ** power, lambda x: power * x ** (power - 1), [[1.5]], f"power {power}")
    assert_allclose(explain.integrated_gradients(case, steps=steps).values, [[1.5**power]], rtol=1e-12)


def test_ten_nodes_are_complete_on_a_smooth_net(tanh_case: Case) -> None:
    result = explain.integrated_gradients(tanh_case, steps=10)
    assert np.abs(result.residual).max() <= 1e-6
    assert np.abs(result.values).max() > 0.1


def test_it_attributes_to_saturated_units_where_saliency_is_0() -> None:
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


def kinked() -> Case:
    """Three rows put to a net of rectifiers."""
    net = torch.nn.Sequential(torch.nn.Linear(6, 40), torch.nn.ReLU(), torch.nn.Linear(40, 20), torch.nn.ReLU())
    net = torch.nn.Sequential(*net, torch.nn.Linear(20, 2)).double()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.6 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return assay.case(assay.wrap(net), torch.randn((3, 6), generator=generator, dtype=torch.float64), label=0)


def exact(case: Case) -> np.ndarray:
    """The integral by twenty thousand equal steps."""
    alphas = (np.arange(20_000) + 0.5) / 20_000
    x = case.rows.x
    slopes = [case.gradient((torch.as_tensor(alphas)[:, None] * x[i]), np.full(20_000, i)).mean(0) for i in range(3)]
    return (x * torch.stack(slopes)).numpy()


@pytest.mark.parametrize("tolerance", [0.05, 0.005])
def test_panels_are_halved_until_the_residual_is_below_the_tolerance(tolerance: float) -> None:
    case = kinked()
    result = explain.integrated_gradients(case, tolerance=tolerance)
    rise = np.abs(result.output - result.base)
    assert (np.abs(result.residual) <= tolerance * rise).all()
    assert_allclose(result.values, exact(case), atol=2 * tolerance * rise.max())
    assert not [note for note in result.notes if note.code == "tolerance"]


def test_a_finer_tolerance_takes_more_nodes_and_reports_their_number() -> None:
    case = kinked()
    before = case.model.meter.backwards
    coarse = explain.integrated_gradients(case, tolerance=0.05).extra["nodes"]
    assert case.model.meter.backwards - before == coarse.sum()
    assert explain.integrated_gradients(case, tolerance=0.002).extra["nodes"].sum() > coarse.sum()


def test_a_tolerance_works_for_functions_of_numpy_too() -> None:
    x = np.array([[0.4, -1.1], [2.0, 0.7]])
    case = examples.analytic(lambda x: np.sin(3 * x).sum(axis=1), lambda x: 3 * np.cos(3 * x), x, "sines")
    result = explain.integrated_gradients(case, start=0.1, tolerance=1e-6)
    assert_allclose(result.values, np.sin(3 * x) - np.sin(0.3), atol=1e-5)  # each term's own change


def test_a_row_that_spends_all_its_nodes_is_named() -> None:
    result = explain.integrated_gradients(kinked(), tolerance=1e-6, most=48)
    assert (result.extra["nodes"] <= 48).all()
    (note,) = [note for note in result.notes if note.code == "tolerance"]
    late = np.abs(result.residual) > 1e-6 * np.abs(result.output - result.base)
    assert note.rows == tuple(result.ids[i] for i in np.flatnonzero(late))


def test_secants_converge_to_the_integral_and_add_up_at_every_step_count() -> None:
    case, truth = kinked(), exact(kinked())
    errors = []
    for steps in (4, 16, 64):
        result = explain.integrated_gradients(case, rule="secant", steps=steps)
        assert np.abs(result.residual).max() < 1e-12
        errors.append(np.abs(result.values - truth).sum(axis=1) / np.abs(truth).sum(axis=1))
    assert (errors[2] < errors[0] / 8).all()
    assert (errors[2] < 0.01).all()
    assert result.extra["relative_change"].sum() >= 0.5 * errors[2].sum()


def test_secants_beat_gauss_nodes_of_the_same_number_on_a_kinked_net() -> None:
    case, truth = kinked(), exact(kinked())
    secant = explain.integrated_gradients(case, rule="secant", steps=16).values
    gauss = explain.integrated_gradients(case, steps=16).values
    assert np.abs(secant - truth).sum() < np.abs(gauss - truth).sum()


def test_invalid_rules_and_tolerances_are_refused() -> None:
    with pytest.raises(InputError, match=r"tolerance=1\.5; a fraction"):
        explain.integrated_gradients(kinked(), tolerance=1.5)
    with pytest.raises(InputError, match="'gauss' takes any gradient, 'secant' a torch net"):
        explain.integrated_gradients(examples.product(), rule="secant")
    with pytest.raises(InputError, match="at least 2"):
        explain.integrated_gradients(kinked(), rule="secant", steps=1)
