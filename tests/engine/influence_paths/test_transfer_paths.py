"""Edge Jacobians, prefixes and suffixes, against the enumeration of every path."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.nets import filled
from tests.engine.influence_paths.path_nets import Causal, SkipNet, enumerated, jacobians, letters

import assay
from assay import explain
from assay.engine.gradients.distributions import Line
from assay.engine.influence_paths.row_paths import cut_case, record_row, row_paths
from assay.engine.influence_paths.transfer_paths import transfer_paths
from assay.engine.influence_paths.unit_paths import greedy_path

TEXT = "b d c a"


@pytest.fixture(scope="module")
def causal():
    net = filled(Causal().double(), 4)
    return net, assay.case(assay.model.text(net, letters, embedding="embed"), [TEXT], label=1)


@pytest.fixture(scope="module")
def brute(causal):
    """Every path from position 1 at the midpoint of the line from 0, by explicit Jacobians."""
    net, case = causal
    x = case.rows.x[0]
    chain = jacobians(list(net.blocks), x / 2)
    adjoint = torch.zeros_like(x)
    adjoint[-1] = net.head.weight[1].detach()
    return enumerated(chain, adjoint, x, 1), chain, adjoint


def at_midpoint(case, source=1):
    cut = cut_case(case, ())
    nodes = list(Line(0.0, 1).nodes(case))
    states, along, _ = record_row(case, 0, cut, nodes)
    mask = np.zeros(case.rows.shape, dtype=bool)
    mask[source] = True
    return states, along, mask


def test_the_sum_over_all_paths_is_the_gradient_and_the_influence_of_the_input(causal, brute):
    case = causal[1]
    x = (case.rows.x / 2).clone().requires_grad_(True)
    slope = torch.autograd.grad(case.model.forward(case.rows.with_inputs(x, np.array([0])))[0, 1], x)[0][0]
    whole = float(slope[1] @ case.rows.x[0, 1])
    assert_allclose(sum(brute[0].values()), whole, rtol=1e-6)
    found = row_paths(case, 0, cut_case(case, ()), Line(0.0, 1), 4)
    assert_allclose(found.values.sum(axis=1)[1], whole, rtol=1e-12)


def test_prefix_and_suffix_products_are_the_enumerated_paths_that_cross_once(causal, brute):
    states, along, mask = at_midpoint(causal[1])
    (found,), ends = transfer_paths(states, np.ones(1), np.arange(4), [mask], along)
    expected = [brute[0][tuple([1] * layer + [3] * (3 - layer))] for layer in range(3)]
    assert states.cut.layers == ("blocks.0", "blocks.1", "blocks.2")
    assert ends == 1
    assert_allclose(found.crossings, expected, rtol=1e-12, atol=1e-15)
    assert_allclose(found.copy, brute[0][(1, 1, 1)], atol=1e-15)


def test_a_crossing_is_the_sum_over_heads_and_a_head_is_its_own_mixing(causal):
    net, case = causal
    states, along, mask = at_midpoint(case)
    (found,), _ = transfer_paths(states, np.ones(1), np.arange(4), [mask], along)
    assert_allclose(found.heads.sum(axis=1), found.crossings, rtol=1e-10)
    block = net.blocks[0]
    weight = block.self_attn.o_proj.weight
    kept = weight.clone()
    with torch.no_grad():
        weight[:, :4] = 0.0  # without the first head the crossing at its own states is what the second carries
    try:
        primal = states.states[0][0].detach()
        pure = torch.autograd.functional.jacobian(lambda x: block.self_attn(block.norm(x[None]))[0], primal)
    finally:
        with torch.no_grad():
            weight.copy_(kept)
    moved = pure[3, :, 1, :] @ along[0, 1]
    whole = torch.autograd.functional.jacobian(lambda x: block.self_attn(block.norm(x[None]))[0], primal)[3, :, 1, :]
    assert abs(float((moved - whole @ along[0, 1]).abs().max())) > 1e-6
    after = (primal + block.self_attn(block.norm(primal[None]))[0]).detach()

    def rest(y):
        z = block.norm(y)
        return y + block.down(torch.nn.functional.silu(block.gate(z)) * block.up(z))

    step = torch.autograd.functional.jacobian(rest, after)[3, :, 3, :] @ moved
    adjoint = states.gradients[-1] * torch.eye(4, dtype=along.dtype)[3][None, :, None]
    for place in (3, 2):
        adjoint = states.pull(place, adjoint)[0] * torch.eye(4, dtype=along.dtype)[3][None, :, None]
    assert_allclose(found.heads[0, 1], float(adjoint[0, 3] @ step), rtol=1e-9)


def test_the_edges_of_every_layer_carry_what_all_paths_carry(causal):
    states, along, mask = at_midpoint(causal[1])
    (found,), _ = transfer_paths(states, np.ones(1), np.arange(4), [mask], along)
    assert_allclose(found.graph.sum(axis=1), np.full(3, found.total), rtol=1e-12)
    assert_allclose(found.graph[0, 2], 0.0, atol=1e-15)


def test_greedy_refinement_of_positions_ends_at_an_enumerated_path(causal, brute):
    states, along, mask = at_midpoint(causal[1])
    found = greedy_path(states, np.ones(1), np.arange(4), mask, along)
    assert_allclose(found.refined[0], brute[0][tuple(found.nodes)], rtol=1e-10)
    through = sum(value for path, value in brute[0].items() if path[1:] == tuple(found.nodes[1:]))
    assert_allclose(found.refined[1], through, rtol=1e-10)


def test_units_of_a_net_with_skips_have_the_paths_of_their_jacobians():
    net = filled(SkipNet().double(), 2)
    case = assay.case(assay.wrap(net), torch.tensor([[0.7, -1.2, 0.4]], dtype=torch.float64), label=1)
    cut = cut_case(case, ())
    assert cut.layers == ("parts.0", "parts.1", "parts.2")
    chain, x = [], case.rows.x[0] / 2
    for part in net.parts:
        chain.append(torch.autograd.functional.jacobian(lambda one, part=part: part(one[None])[0], x)[:, None, :, None])
        x = part(x[None])[0].detach()
    paths = enumerated(chain, net.head.weight[1].detach()[:, None], case.rows.x[0][:, None], 0)
    states, along, _ = record_row(case, 0, cut, list(Line(0.0, 1).nodes(case)))
    found = greedy_path(states, np.ones(1), None, np.arange(3) == 0, along)
    assert_allclose(sum(paths.values()), float((states.gradients[0] * along)[0, 0]), rtol=1e-6)
    assert_allclose(found.refined[0], paths[tuple(found.nodes)], rtol=1e-10)
    result = explain.influence_paths(case, steps=24)
    assert_allclose(result.residual, 0.0, atol=1e-8)
