"""Conductance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.explain import nets

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError
from assay.cases.case import Case


def slow(case: Case, layer: str, start: float, steps: int = 400) -> np.ndarray:
    """Σ ∂f/∂a · Δa, by differences of activations over many short steps."""
    until, since = case.model.up_to_layer(layer), case.from_layer(layer)
    start_point = torch.full_like(case.rows.x, start)
    total = np.zeros(since.rows.x.shape)
    before = None
    for step in range(steps + 1):
        point = start_point + step / steps * (case.rows.x - start_point)
        activation = until.values(case.at(point).rows)
        if before is not None:
            middle = (activation + before) / 2
            total += (since.gradient(middle) * (activation - before)).numpy()
        before = activation
    return total


@pytest.mark.parametrize("layer", ["0", "1"])
@pytest.mark.parametrize("start", [0.0, 0.5])
def test_it_is_the_sum_of_small_moves_times_gradients(tanh_case: Case, layer: str, start: float) -> None:
    found = explain.conductance(tanh_case, layer=layer, start=start)
    assert_allclose(found.values, slow(tanh_case, layer, start), atol=2e-5)
    assert np.abs(found.values).max() > 0.05


@pytest.mark.parametrize("layer", ["0", "1", "2"])
def test_a_layer_that_all_paths_cross_is_complete(tanh_case: Case, layer: str) -> None:
    found = explain.conductance(tanh_case, layer=layer, start=0.3)
    assert_allclose(found.values.sum(1), found.output - found.base, atol=1e-9)
    assert_allclose(found.residual, 0.0, atol=1e-9)


def test_with_a_skip_connection_the_residual_is_what_bypasses_the_layer() -> None:
    class Skips(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.skip, self.head = torch.nn.Linear(4, 4), torch.nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(x + torch.tanh(self.skip(x)))

    case = nets.case_of(nets.filled(Skips()))
    found = explain.conductance(case, layer="skip")
    head = case.model.net.head.weight.detach().numpy()[1]
    assert_allclose(found.residual, nets.rows(case) @ head, atol=1e-9)


def test_at_the_input_it_is_integrated_gradients(tanh_case: Case) -> None:
    expected = explain.integrated_gradients(tanh_case, start=0.2, steps=16).values
    assert_allclose(explain.conductance(tanh_case, start=0.2, steps=16).values, expected, atol=1e-12)


def test_units_of_a_map_are_channels_and_the_map_keeps_positions() -> None:
    case = nets.make_case(nets.conv())
    found = explain.conductance(case, layer="1", steps=400)
    assert found.values.shape == (4, 2)
    assert found.map().shape == (4, 2, 4, 4)
    assert_allclose(found.map().sum((2, 3)), found.values, atol=1e-12)
    assert np.abs(found.residual).max() <= 1e-2


def test_a_node_costs_one_forward_and_one_backward(tanh_case: Case) -> None:
    meter, _ = tanh_case.model.meter, tanh_case.output
    requested, backwards = meter.requested, meter.backwards
    explain.conductance(tanh_case, layer="1", steps=5)
    rows = len(tanh_case)
    base, activations = rows, rows  # the start's target; the activations at the rows, to be shown
    assert meter.backwards - backwards == 5 * rows
    assert meter.requested - requested == 5 * rows + base + activations


def test_a_layer_that_is_not_there_is_refused_with_near_names(tanh_case: Case) -> None:
    with pytest.raises(InputError, match="no layer '7'"):
        explain.conductance(tanh_case, layer="7")
    net = nets.filled(torch.nn.Sequential(torch.nn.Linear(4, 4), relu := torch.nn.ReLU(), torch.nn.Linear(4, 4), relu))
    case = assay.case(assay.wrap(net), torch.ones(1, 4, dtype=torch.float64), label=0)
    with pytest.raises(CapabilityError, match="'1' is called 2 times"):
        explain.conductance(case, layer="1")
    assert explain.conductance(case, layer="1#0").values.shape == (1, 4)
