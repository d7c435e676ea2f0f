"""Guided backprop."""

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
from assay.basics.errors import CapabilityError


@pytest.mark.parametrize("make", [nets.mlp, nets.conv])
def test_rectifiers_pass_the_positive_gradient_of_active_units(make: Callable[[], Any]) -> None:
    net = make()
    case, layers = nets.make_case(net), nets.layers(net)
    expected = np.stack([oracle.rectified(layers, row, 1, guided=True) for row in nets.rows(case)])
    assert_allclose(explain.guided_backprop(case).values, expected, atol=1e-12)
    assert np.abs(expected - explain.saliency(case, signed=True).values).max() > 1e-3


def test_functions_in_place_reused_and_relu6_are_rectifiers() -> None:
    class Written(torch.nn.Module):
        def __init__(self, relu: Any, again: Any) -> None:
            super().__init__()
            self.layers, self.relu, self.again = nets.mlp(), relu, again

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            one, _, two, _, three = self.layers
            return three(self.again(two(self.relu(one(x)))))

    functional = torch.nn.functional
    module = torch.nn.ReLU()
    kinds = [(module, module), (functional.relu, torch.relu_), (lambda x: x.relu(), torch.nn.ReLU(inplace=True))]
    kinds += [(lambda x: functional.hardtanh(x, 0.0, 1e6), functional.relu)]
    expected = explain.guided_backprop(nets.make_case(nets.mlp())).values
    for kind in kinds:
        assert_allclose(explain.guided_backprop(nets.case_of(Written(*kind))).values, expected, atol=1e-12)


def test_relu6_passes_nothing_at_zero_or_above_six() -> None:
    net = torch.nn.Sequential(torch.nn.ReLU6(), torch.nn.Linear(4, 2)).double()
    with torch.no_grad():
        net[1].weight.fill_(1.0)
    case = assay.case(assay.wrap(net), torch.tensor([[-1.0, 0.0, 3.0, 7.0]], dtype=torch.float64), label=0)
    assert_allclose(explain.guided_backprop(case).values, [[0.0, 0.0, 1.0, 0.0]])


def test_a_net_without_rectifiers_is_refused(tanh_case: Any) -> None:
    with pytest.raises(CapabilityError, match="none for 'tanh'"):
        explain.guided_backprop(tanh_case)
    with pytest.raises(CapabilityError, match=r"explain.guided_backprop needs rectifiers"):
        explain.guided_backprop(tanh_case, allow=("tanh",))


def test_allowed_operations_keep_their_own_derivative() -> None:
    net = torch.nn.Sequential(torch.nn.GELU(), torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    case = nets.case_of(nets.filled(net))
    rest = nets.layers(net)
    x = nets.rows(case)
    gelu = [torch.nn.functional.gelu(torch.as_tensor(row)).numpy() for row in x]
    point = torch.as_tensor(x).requires_grad_(True)
    (slope,) = torch.autograd.grad(torch.nn.functional.gelu(point).sum(), point)
    expected = slope.numpy() * np.stack([oracle.rectified(rest, row, 1, guided=True) for row in gelu])
    assert_allclose(explain.guided_backprop(case, allow=("gelu",)).values, expected, atol=1e-12)


def test_a_pass_is_one_forward_and_one_backward_a_row() -> None:
    case = nets.make_case(nets.mlp())
    _ = case.output
    requested, backwards = case.model.meter.requested, case.model.meter.backwards
    explain.guided_backprop(case)
    assert (case.model.meter.requested - requested, case.model.meter.backwards - backwards) == (4, 4)
