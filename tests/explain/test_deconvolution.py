"""Deconvolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.explain import nets
from tests.oracles import relevance as oracle

from assay import explain
from assay.basics.errors import CapabilityError


@pytest.mark.parametrize("make", [nets.mlp, nets.conv])
def test_rectifiers_pass_the_positive_part_of_the_incoming_gradient(make: Callable[[], Any]) -> None:
    net = make()
    case, layers = nets.make_case(net), nets.layers(net)
    expected = np.stack([oracle.rectified(layers, row, 1, guided=False) for row in nets.rows(case)])
    assert_allclose(explain.deconvolution(case).values, expected, atol=1e-12)
    assert np.abs(expected - explain.guided_backprop(case).values).max() > 1e-3


def test_with_one_layer_of_rectifiers_it_does_not_depend_on_the_input() -> None:
    found = explain.deconvolution(nets.make_case(nets.mlp())).values
    assert_allclose(found, np.broadcast_to(found[:1], found.shape), atol=1e-12)


def test_a_net_without_rectifiers_is_refused(tanh_case: Any) -> None:
    with pytest.raises(CapabilityError, match=r"explain.deconvolution needs rectifiers"):
        explain.deconvolution(tanh_case, allow=("tanh",))


def test_a_pass_is_one_forward_and_one_backward_a_row() -> None:
    case = nets.make_case(nets.mlp())
    _ = case.output
    requested, backwards = case.model.meter.requested, case.model.meter.backwards
    explain.deconvolution(case)
    assert (case.model.meter.requested - requested, case.model.meter.backwards - backwards) == (4, 4)
