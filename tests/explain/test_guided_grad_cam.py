"""Guided Grad-CAM."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.explain import nets
from tests.oracles import maps
from tests.oracles import relevance as oracle

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError
from assay.engine.cost import cost_of
from assay.nouns.catalogue import Cost


def slowly(case: Any, net: Any, row: int, label: int, signed: bool) -> np.ndarray:
    """Guided backprop by loops, times the enlarged map of the two channels after the rectifier."""
    x = case.rows.x[row : row + 1]
    with torch.no_grad():
        active = net[1](net[0](x))[0].numpy()
    head = net[3].weight.detach().numpy()[label].reshape(2, 4, 4)
    cam = sum(head[k].mean() * active[k] for k in range(2))
    fine = oracle.rectified(nets.layers(net), nets.rows(case)[row], label, guided=True).reshape(4, 4)
    return fine * maps.bilinear(cam if signed else np.maximum(cam, 0.0), 4, 4)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("label", [0, 1])
def test_it_is_guided_backprop_times_the_map_element_by_element(label: int, signed: bool) -> None:
    net = nets.conv()
    case = nets.make_case(net, label=label)
    expected = np.stack([slowly(case, net, row, label, signed) for row in range(4)])
    found = explain.guided_grad_cam(case, layer="1", signed=signed)
    assert_allclose(found.map()[:, 0], expected, atol=1e-12)
    assert (np.abs(expected).max() > 1e-2) == (signed or label == 0)  # the map of class 1 is nowhere above 0
    assert_allclose(found.extra["map"], explain.grad_cam(case, layer="1", signed=signed).extra["map"], atol=1e-12)


def test_a_picture_of_several_channels_has_the_whole_map_at_each() -> None:
    net = nets.filled(
        torch.nn.Sequential(torch.nn.Conv2d(3, 2, 2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(18, 2))
    )
    pictures = torch.rand((2, 3, 4, 4), generator=nets.generator(1), dtype=torch.float64)
    case = assay.case(assay.wrap(net), pictures, label=0)
    found = explain.guided_grad_cam(case, layer="1", signed=True)
    large = np.stack([maps.bilinear(one, 4, 4) for one in found.extra["map"]])
    assert_allclose(found.map(), explain.guided_backprop(case).map() * large[:, None], atol=1e-12)
    assert np.abs(found.values).max() > 1e-2


def test_notes_and_cost_are_those_of_both_methods() -> None:
    case = nets.make_case(nets.conv())
    _ = case.output
    found = explain.guided_grad_cam(case)
    assert [note.text for note in found.notes if note.code == "layer"] == ["layer '1' is used; layer=… selects another"]
    assert found.provenance.cost == {"forwards": 2 * 4 + 1, "backwards": 2 * 4}  # one pass finds the layer
    assert cost_of(explain.guided_grad_cam.method, case, {}) == Cost(2 * 4 + 1, 2 * 4)


def test_what_either_method_refuses_is_refused() -> None:
    with pytest.raises(InputError, match="no layer 'con'"):
        explain.guided_grad_cam(nets.make_case(nets.conv()), layer="con")
    smooth = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 2), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(18, 2))
    case = assay.case(assay.wrap(nets.filled(smooth)), torch.as_tensor(maps.PICTURES), label=0)
    with pytest.raises(CapabilityError, match="none for 'tanh'"):
        explain.guided_grad_cam(case)
    with pytest.raises(CapabilityError, match=r"explain\.guided_grad_cam needs rectifiers"):
        explain.guided_grad_cam(case, allow=("tanh",))
