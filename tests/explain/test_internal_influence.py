"""Internal influence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.explain import nets

import assay
from assay import explain
from assay.cases.case import Case
from assay.engine.gradients.distributions import Gaussian, Line, Point


def weights(case: Case) -> tuple[np.ndarray, ...]:
    first, _, last = case.model.net
    return tuple(p.detach().numpy() for p in (first.weight, first.bias, last.weight))


def test_on_a_line_it_is_the_mean_gradient_at_the_layer(tanh_case: Case) -> None:
    w, b, v = weights(tanh_case)
    x, places = nets.rows(tanh_case), (np.arange(4000) + 0.5) / 4000
    hidden = np.stack([(0.4 + p * (x - 0.4)) @ w.T + b for p in places])
    expected = ((1 - np.tanh(hidden) ** 2) * v[1]).mean(0)  # ∂f/∂z of the first layer
    found = explain.internal_influence(tanh_case, layer="0", over=Line(0.4, 24))
    assert_allclose(found.values, expected, atol=1e-7)
    assert np.isnan(found.base).all()


def test_behind_the_last_bend_it_is_the_last_weights(tanh_case: Case) -> None:
    _, _, v = weights(tanh_case)
    for over in (Point(), Line(steps=3), Gaussian(0.3, 4)):
        found = explain.internal_influence(tanh_case, layer="1", over=over)
        assert_allclose(found.values, np.broadcast_to(v[1], found.values.shape), atol=1e-12)


def test_at_a_point_of_the_input_it_is_the_gradient(tanh_case: Case) -> None:
    expected = explain.saliency(tanh_case, signed=True).values
    assert_allclose(explain.internal_influence(tanh_case, over=Point()).values, expected, atol=1e-12)


def test_times_the_move_it_is_integrated_gradients(tanh_case: Case) -> None:
    found = explain.internal_influence(tanh_case, over=Line(0.1, 12)).values * (nets.rows(tanh_case) - 0.1)
    assert_allclose(found, explain.integrated_gradients(tanh_case, start=0.1, steps=12).values, atol=1e-12)


def test_draws_bring_an_error(tanh_case: Case) -> None:
    found = explain.internal_influence(tanh_case, layer="0", over=Gaussian(0.5, 16))
    assert found.stderr is not None
    assert (found.stderr > 0).all()


def test_a_node_costs_one_forward_and_one_backward(tanh_case: Case) -> None:
    meter, _ = tanh_case.model.meter, tanh_case.output
    requested, backwards = meter.requested, meter.backwards
    explain.internal_influence(tanh_case, layer="1", over=Line(steps=5))
    rows = len(tanh_case)
    assert meter.backwards - backwards == 5 * rows
    assert meter.requested - requested == 6 * rows  # and once for the activations shown


@pytest.mark.parametrize("layer", ["0", "1"])
def test_a_row_alone_gets_what_it_gets_among_others(layer: str) -> None:
    net = nets.filled(torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.GELU(), torch.nn.Linear(5, 3)))
    case = nets.case_of(net)
    whole = explain.internal_influence(case, layer=layer).values
    assert_allclose(explain.internal_influence(case.take([2]), layer=layer).values[0], whole[2], atol=1e-12)
    assert isinstance(case, assay.Case)
