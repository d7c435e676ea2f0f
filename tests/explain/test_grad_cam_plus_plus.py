"""Grad-CAM++."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.oracles import maps

import assay
from assay.explain import grad_cam_plus_plus


def slowly(picture: np.ndarray, label: int) -> np.ndarray:
    """Equations 10 and 19 of the paper without the factor exp(score), by loops."""
    active, total = maps.activations(picture), np.zeros((3, 3))
    for k in range(2):
        weight, mass = 0.0, sum(active[k, a, b] for a in range(3) for b in range(3))
        for i in range(3):
            for j in range(3):
                g = maps.HEAD[label, k, i, j]
                weight += g**2 / (2 * g**2 + mass * g**3) * max(g, 0.0)
        total += weight * active[k]
    return total


@pytest.mark.parametrize("label", [0, 1])
def test_it_is_the_papers_map(label: int) -> None:
    slow = np.stack([slowly(picture, label) for picture in maps.PICTURES])
    found = grad_cam_plus_plus(maps.handmade(label=label), signed=True)
    assert_allclose(found.extra["map"], slow, atol=1e-12)
    assert_allclose(grad_cam_plus_plus(maps.handmade(label=label)).extra["map"], np.maximum(slow, 0), atol=1e-12)


def test_the_weights_are_those_of_derivatives_of_the_exponential_score() -> None:
    picture = maps.PICTURES[0]
    active = torch.as_tensor(maps.activations(picture)).requires_grad_(True)
    score = torch.exp((active * torch.as_tensor(maps.HEAD[0])).sum() + maps.OFFSET[0])
    first = torch.autograd.grad(score, active, create_graph=True)[0]
    second, third = torch.zeros_like(active), torch.zeros_like(active)
    for place in np.ndindex(2, 3, 3):
        bent = torch.autograd.grad(first[place], active, create_graph=True)[0][place]
        second[place], third[place] = bent.detach(), torch.autograd.grad(bent, active, retain_graph=True)[0][place]
    alpha = second / (2 * second + third * active.detach().sum(dim=(1, 2), keepdim=True))
    weight = (alpha * torch.relu(first.detach())).sum(dim=(1, 2)) / score.detach()
    total = (weight[:, None, None] * active.detach()).sum(dim=0).numpy()
    found = grad_cam_plus_plus(maps.handmade(), signed=True)
    assert_allclose(found.extra["map"][0], total, atol=1e-10)


def test_where_the_denominator_is_zero_the_weight_is() -> None:
    net = maps.net(pooled=True)
    with torch.no_grad():
        net[4].weight.zero_()
    case = assay.case(assay.wrap(net), torch.as_tensor(maps.PICTURES), label=0)
    found = grad_cam_plus_plus(case)
    assert not found.values.any()
    assert [note.code for note in found.notes] == ["layer", "empty"]
