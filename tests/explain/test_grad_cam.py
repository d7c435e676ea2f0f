"""Grad-CAM."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.subjects import pooled, visual
from tests.oracles import maps

import assay
from assay.basics.errors import CapabilityError, InputError
from assay.explain import cam, grad_cam


def slowly(picture: np.ndarray, label: int) -> np.ndarray:
    """The paper's two lines; of a linear head the gradient is its weight."""
    active, total = maps.activations(picture), np.zeros((3, 3))
    for k in range(2):
        weight = sum(maps.HEAD[label, k, i, j] for i in range(3) for j in range(3)) / 9
        total += weight * active[k]
    return total


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("label", [0, 1])
def test_it_is_the_papers_map(label: int, signed: bool) -> None:
    found = grad_cam(maps.handmade(label=label), signed=signed)
    slow = np.stack([slowly(picture, label) for picture in maps.PICTURES])
    slow = slow if signed else np.maximum(slow, 0.0)
    assert_allclose(found.extra["map"], slow, atol=1e-12)
    assert_allclose(found.map()[:, 0], [maps.bilinear(one, 4, 4) for one in slow], atol=1e-12)
    assert (slow < 0).any() == signed


def test_the_channels_of_a_position_add_up_to_the_map() -> None:
    found = grad_cam(visual(), signed=True)
    slow = np.stack([maps.bilinear(one, 8, 8) for one in found.extra["map"]])
    assert_allclose(found.map().sum(axis=1), slow, atol=1e-12)
    assert_allclose(found.values.sum(axis=1), slow.sum(axis=(1, 2)), atol=1e-12)


@pytest.mark.parametrize("signed", [False, True])
def test_where_the_head_is_linear_in_the_means_it_is_cam_over_the_positions(signed: bool) -> None:
    case = pooled()
    one, other = grad_cam(case, signed=signed), cam(case, signed=signed)
    assert_allclose(one.extra["map"], other.extra["map"] / 16, atol=1e-12)
    assert np.abs(one.extra["map"]).max() > 1e-3


def test_it_follows_the_target() -> None:
    case = pooled()
    one, other = (grad_cam(case.with_target(label=k), signed=True).values for k in (1, 2))
    both = grad_cam(case.with_target(assay.contrast(2)), signed=True).values
    assert_allclose(both, one - other, atol=1e-12)


def test_a_note_says_which_layer_and_another_can_be_named() -> None:
    found = grad_cam(pooled())
    assert [note.text for note in found.notes if note.code == "layer"] == ["layer '3' is used; layer=… selects another"]
    early = grad_cam(pooled(), layer="1")
    assert early.extra["map"].shape == (3, 8, 8)
    assert not [note for note in early.notes if note.code == "layer"]


def test_rows_whose_map_is_nowhere_above_zero_are_named() -> None:
    net = maps.net(pooled=True)
    with torch.no_grad():
        net[4].weight.copy_(torch.tensor([[-1.0, -2.0], [1.0, 1.0]]))
    case = assay.case(assay.wrap(net), torch.as_tensor(maps.PICTURES), label=[0, 1, 0], ids=list("abc"))
    found = grad_cam(case)
    assert [note.rows for note in found.notes if note.code == "empty"] == [("a", "c")]
    assert not found.values[[0, 2]].any()
    assert not [note for note in grad_cam(case, signed=True).notes if note.code == "empty"]


def test_layers_without_maps_are_refused() -> None:
    with pytest.raises(CapabilityError, match=r"layer '3' gives shape \(3, 16\); maps"):
        grad_cam(visual(), layer="3")
    with pytest.raises(InputError, match="no layer 'con'"):
        grad_cam(visual(), layer="con")
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2)).double()
    with pytest.raises(CapabilityError, match="no layer of Sequential gives maps"):
        grad_cam(assay.case(assay.wrap(flat), torch.as_tensor(maps.PICTURES), label=0))
