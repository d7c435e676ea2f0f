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
def test_rectifiers_let_through_what_is_positive_on_the_way_back(make: Callable[[], Any]) -> None:
    net = make()
    case, layers = nets.asked(net), nets.layers(net)
    expected = np.stack([oracle.rectified(layers, row, 1, guided=False) for row in nets.rows(case)])
    assert_allclose(explain.deconvolution(case).values, expected, atol=1e-12)
    assert np.abs(expected - explain.guided_backprop(case).values).max() > 1e-3


def test_with_one_row_of_rectifiers_it_hangs_on_no_input() -> None:
    found = explain.deconvolution(nets.asked(nets.mlp())).values
    assert_allclose(found, np.broadcast_to(found[:1], found.shape), atol=1e-12)


def test_a_net_without_rectifiers_is_refused(tanh_case: Any) -> None:
    with pytest.raises(CapabilityError, match=r"explain.deconvolution needs rectifiers"):
        explain.deconvolution(tanh_case, allow=("tanh",))


def test_a_pass_is_one_forward_and_one_backward_a_row() -> None:
    case = nets.asked(nets.mlp())
    _ = case.output
    asked, backwards = case.model.meter.asked, case.model.meter.backwards
    explain.deconvolution(case)
    assert (case.model.meter.asked - asked, case.model.meter.backwards - backwards) == (4, 4)
