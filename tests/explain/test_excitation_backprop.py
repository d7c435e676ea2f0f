"""Excitation backprop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.explain import nets
from tests.oracles import relevance as oracle

import assay
from assay import explain


@pytest.mark.parametrize("make", [nets.mlp, nets.conv])
@pytest.mark.parametrize("positive", [True, False])
def test_it_is_the_marginal_winning_probability(make: Callable[[], Any], positive: bool) -> None:
    net = make()
    case, layers = nets.make_case(net, positive=positive), nets.layers(net)
    expected = np.stack([oracle.excitation(layers, row, 1) for row in nets.rows(case)])
    assert_allclose(explain.excitation_backprop(case).values, expected, atol=1e-12)


def test_of_positive_inputs_it_is_a_probability() -> None:
    values = explain.excitation_backprop(nets.make_case(nets.conv(), positive=True)).values
    assert (values >= 0).all()
    assert_allclose(values.sum(1), 1.0, atol=1e-9)


def test_relevance_without_positive_contributions_is_lost() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 3.0], [-1.0, -1.0]]))
        net[0].bias.copy_(torch.tensor([0.0, 5.0]))
        net[2].weight.copy_(torch.tensor([[1.0, 2.0]]))
        net[2].bias.zero_()
    case = assay.case(assay.model.torch(net, gives="values"), torch.ones(1, 2, dtype=torch.float64))
    walked = 4.0 / (4.0 + 2.0 * 3.0)  # the rest goes to a unit that its bias alone holds up
    assert_allclose(explain.excitation_backprop(case).values, [[walked / 4, 3 * walked / 4]])


def test_a_target_of_zero_is_undefined_with_a_note() -> None:
    net = torch.nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, -1.0]]))
    case = assay.case(assay.model.torch(net, gives="values"), torch.tensor([[1.0, 1.0], [2.0, 1.0]]).double())
    found = explain.excitation_backprop(case)
    assert np.isnan(found.values[0]).all()
    assert_allclose(found.values[1], [1.0, 0.0])
    assert "no-target" in [note.code for note in found.notes]


def test_a_pass_is_one_forward_and_one_backward_a_row() -> None:
    case = nets.make_case(nets.mlp())
    _ = case.output
    requested, backwards = case.model.meter.requested, case.model.meter.backwards
    explain.excitation_backprop(case)
    assert (case.model.meter.requested - requested, case.model.meter.backwards - backwards) == (4, 4)
