"""Modified backward passes: secants by hand, balances, and the net's own input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.explain import nets
from tests.oracles import relevance as oracle

import assay
from assay.basics.errors import CapabilityError, InputError
from assay.cases.case import Case
from assay.engine.gradients.backward_pass import (
    at_net_input,
    integrate_by_secants,
    modified_gradient,
    propagate_backward,
    relevance_balance,
    start_at_net_input,
)
from assay.model.rules.deep_lift import DeepLiftRules
from assay.nouns.inputs.rows import to_floats


def squared(x: torch.Tensor) -> torch.Tensor:
    """Four numbers from two: each and its square."""
    return torch.cat([x, x**2], dim=1)


def widened() -> tuple[Case, Case]:
    """Rows of two numbers that a preprocess turns into four, and the net's case of those four."""
    x = torch.tensor([[0.5, -1.0], [2.0, 0.3]], dtype=torch.float64)
    case = assay.case(assay.wrap(nets.mlp(), preprocess=squared), x, label=2)
    return case, assay.case(assay.wrap(nets.mlp()), squared(x), label=2)


def by_panels(case: Case, start: float, count: int) -> np.ndarray:
    """DeepLIFT's Rescale rule on each of ``count`` panels of the line, whose edges are at (k / count)³, summed."""
    layers, total = nets.layers(nets.mlp()), np.zeros((len(case), 4))
    for row, x in enumerate(nets.rows(case)):
        for k in range(count):
            low, high = (start + (edge / count) ** 3 * (x - start) for edge in (k, k + 1))
            total[row] += oracle.rescale(layers, high, low, 1)
    return total


@pytest.mark.parametrize("start", [0.0, 0.4])
@pytest.mark.parametrize("steps", [2, 3, 7])
def test_secants_are_the_rescale_rule_panel_by_panel_and_the_change_is_that_from_half_as_many(
    steps: int, start: float
) -> None:
    case = nets.make_case(nets.mlp())
    found = integrate_by_secants(case, start, steps)
    fine, coarse = by_panels(case, start, steps), by_panels(case, start, steps // 2)
    assert_allclose(to_floats(found.values), fine, atol=1e-12)
    change = np.abs(fine - coarse).sum(axis=1) / np.abs(fine).sum(axis=1)
    assert_allclose(found.extra["relative_change"], change, atol=1e-12)
    assert change.max() > 1e-4
    assert_allclose(found.base, case.value(torch.full((4, 4), start, dtype=torch.float64)))


def test_where_the_start_is_the_row_nothing_changes_and_one_step_is_refused() -> None:
    case = nets.make_case(nets.mlp())
    found = integrate_by_secants(case, case.rows.x, 4)
    assert not to_floats(found.values).any()
    assert found.extra["relative_change"].tolist() == [0.0] * 4
    with pytest.raises(InputError, match="steps=1; at least 2"):
        integrate_by_secants(case, 0.0, 1)


def test_the_balance_is_what_values_base_and_the_absorbed_leave_of_the_target() -> None:
    case = assay.examples.linear((2.0, -1.0), x=[[1.0, 1.0], [3.0, 2.0]])  # targets 1 and 4
    values, absorbed = np.array([[0.25, 0.5], [1.0, 1.0]]), np.array([0.125, -1.0])
    balance = relevance_balance(case, values, absorbed, base=np.array([0.0, 0.5]))
    assert_allclose(balance["absorbed"], absorbed)
    assert_allclose(balance["conservation"], [0.125, 2.5])
    without = relevance_balance(case, values, None)
    assert_allclose(without["absorbed"], [0.0, 0.0])
    assert_allclose(without["conservation"], [0.25, 2.0])


def test_the_nets_own_input_lies_after_the_preprocess_and_a_case_at_a_layer_stays() -> None:
    case, plain = widened()
    inner = at_net_input(case)
    assert_allclose(to_floats(inner.rows.x), to_floats(plain.rows.x))
    assert at_net_input(inner) is inner
    layer = case.from_layer("1")
    assert at_net_input(layer) is layer
    assert_allclose(to_floats(start_at_net_input(case, inner, 3.0)), [[3.0, 3.0, 9.0, 9.0]] * 2)
    assert_allclose(to_floats(start_at_net_input(inner, inner, 3.0)), [[3.0] * 4] * 2)


def test_where_the_preprocess_changes_the_shape_values_are_those_of_the_nets_input() -> None:
    case, plain = widened()
    inner = at_net_input(case)
    found, absorbed = propagate_backward(
        case, inner, lambda rows: DeepLiftRules("here"), start_at_net_input(case, inner, 0.5), sides=2
    )
    start = np.array([0.5, 0.5, 0.25, 0.25])
    expected = [oracle.rescale(nets.layers(nets.mlp()), x, start, 2) for x in nets.rows(plain)]
    assert_allclose(to_floats(found.values), expected, atol=1e-12)
    assert_allclose(found.base, case.value(torch.full((2, 2), 0.5, dtype=torch.float64)))
    assert found.features is not None
    assert (found.features.shape, len(found.features)) == ((4,), 4)
    assert_allclose(to_floats(found.x), to_floats(plain.rows.x))
    assert absorbed is None


def test_where_the_shape_stays_values_are_in_the_rows_own_features() -> None:
    case = nets.make_case(nets.mlp())
    found, _ = propagate_backward(
        case, at_net_input(case), lambda rows: DeepLiftRules("here"), torch.zeros((4, 4), dtype=torch.float64), sides=2
    )
    expected = [oracle.rescale(nets.layers(nets.mlp()), x, np.zeros(4), 1) for x in nets.rows(case)]
    assert_allclose(to_floats(found.values), expected, atol=1e-12)
    assert found.features is None
    assert found.x is None


@pytest.mark.parametrize("guided", [False, True])
def test_the_gradient_with_the_rectifiers_rule_replaced(guided: bool) -> None:
    case = nets.make_case(nets.mlp())
    found = modified_gradient(case, "here", guided=guided, allow=())
    expected = [oracle.rectified(nets.layers(nets.mlp()), x, 1, guided=guided) for x in nets.rows(case)]
    assert_allclose(to_floats(found.values), expected, atol=1e-12)


def test_a_net_without_rectifiers_is_refused_by_the_methods_name() -> None:
    case = nets.case_of(nets.filled(torch.nn.Sequential(torch.nn.Linear(4, 2))))
    with pytest.raises(CapabilityError, match=r"here needs rectifiers .* Use saliency"):
        modified_gradient(case, "here", guided=True, allow=())
