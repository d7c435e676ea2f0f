"""Projection of a direction out of a layer, beside the closed form."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import assay
from assay.basics.errors import CapabilityError, InputError
from assay.engine.shortcuts.layer_directions import (
    as_vectors,
    input_activations,
    last_linear,
    mean_difference,
    output_activations,
    project,
    project_input,
    project_output,
)

GENERATOR = np.random.default_rng(0)
DIRECTION = GENERATOR.normal(size=5)
DIRECTION /= np.linalg.norm(DIRECTION)
CENTRE = GENERATOR.normal(size=5)


def vectors(bias: bool = True) -> torch.nn.Module:
    torch.manual_seed(0)
    layers = torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3, bias=bias)
    return torch.nn.Sequential(*layers).double().eval()


def maps() -> torch.nn.Module:
    torch.manual_seed(0)
    parts = torch.nn.Conv2d(1, 5, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(5 * 16, 3)
    return torch.nn.Sequential(*parts).double().eval()


def test_the_projection_is_the_closed_form_and_idempotent() -> None:
    h = GENERATOR.normal(size=(20, 5))
    once = project(h, DIRECTION, CENTRE)
    matrix = np.eye(5) - np.outer(DIRECTION, DIRECTION)
    assert_allclose(once, (h - CENTRE) @ matrix + CENTRE, atol=1e-12)
    assert_allclose(project(once, DIRECTION, CENTRE), once, atol=1e-12)
    assert_allclose(once @ DIRECTION, np.full(20, CENTRE @ DIRECTION), atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_weights_with_the_projection_give_the_layer_at_projected_inputs(bias: bool) -> None:
    net, x = vectors(bias), torch.as_tensor(GENERATOR.normal(size=(9, 4)))
    before = copy.deepcopy(net.state_dict())
    other = project_input(net, "2", DIRECTION, CENTRE)
    with torch.no_grad():
        moved = torch.as_tensor(project(net[:2](x).numpy(), DIRECTION, CENTRE))
        assert_allclose(other(x).numpy(), net[2](moved).numpy(), atol=1e-10)
        twice = project_input(other, "2", DIRECTION, CENTRE)
        assert_allclose(twice(x).numpy(), other(x).numpy(), atol=1e-10)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize("kind", ["vectors", "maps"])
def test_a_layer_after_another_projects_its_output(kind: str) -> None:
    net, shape = (vectors(), (4,)) if kind == "vectors" else (maps(), (1, 6, 6))
    x = torch.as_tensor(GENERATOR.normal(size=(7, *shape)))
    with torch.no_grad():
        inner = net[0](x).numpy()
        other = project_output(net, "0", DIRECTION, CENTRE, inner.ndim)
        found = np.moveaxis(other[0](x).numpy(), 1, -1)
    expected = project(np.moveaxis(inner, 1, -1).reshape(-1, 5), DIRECTION, CENTRE).reshape(found.shape)
    assert_allclose(found, expected, atol=1e-10)


def test_activations_are_read_where_they_are_named() -> None:
    net, x = maps(), torch.as_tensor(GENERATOR.normal(size=(130, 1, 6, 6)))
    case = assay.case(assay.wrap(net), x, label=None)
    assert last_linear(case) == "3"
    with torch.no_grad():
        assert_allclose(output_activations(case, case.rows.x, "0"), net[0](x).numpy(), atol=1e-6)
        assert_allclose(input_activations(case, case.rows.x, "3"), net[:3](x).numpy(), atol=1e-6)
    assert not net[0]._forward_hooks


def test_the_direction_goes_from_clean_to_pasted_means() -> None:
    clean = GENERATOR.normal(size=(30, 5))
    assert_allclose(mean_difference(clean, clean + 3.0 * DIRECTION), DIRECTION, atol=1e-12)
    with pytest.raises(InputError, match="another layer"):
        mean_difference(clean, clean)


def test_maps_are_averaged_over_their_positions() -> None:
    activations = GENERATOR.normal(size=(6, 5, 3, 4))
    assert_allclose(as_vectors(activations, 1), activations.mean(axis=(2, 3)))


def test_a_net_without_linear_layers_says_so() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    case = assay.case(assay.wrap(net), torch.rand(3, 1, 6, 6), target="logit", label=None)
    with pytest.raises(CapabilityError, match="linear"):
        last_linear(case)
