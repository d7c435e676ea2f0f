# SPDX-License-Identifier: Apache-2.0
"""The path of single nodes, one in each layer, that a greedy refinement finds from the output back to the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.engine.influence_paths.path_passes import PathStates, pair

if TYPE_CHECKING:
    import torch as pt


@dataclass(frozen=True, eq=False)
class UnitPath:
    """A path of one node in each layer: ``nodes`` (layer,), and the influence of all paths through the nodes so far.

    ``refined`` (layer,): at a layer, of all paths from the source that pass the chosen nodes of this layer and of all
    later ones. The first entry is the influence of the path itself.
    """

    nodes: Ints
    refined: Floats


def greedy_path(
    states: PathStates, weights: Floats, groups: Ints | None, source: Masks, along: pt.Tensor, least: bool = False
) -> UnitPath:
    """The path found from the last layer back: in each, the node through which the chosen paths carry most.

    ``groups`` numbers the positions of states (point, position, width), whose nodes are positions; ``None`` takes the
    units of states (point, unit). Over the nodes of a layer the influences add up to the number chosen before, so the
    refinement loses nothing; but being greedy it may miss a larger path. ``least`` chooses the smallest instead.
    """
    import torch

    start = torch.as_tensor(np.ascontiguousarray(source), dtype=along.dtype, device=along.device)[None]
    tangents, _ = states.cut.tangents(states.rows, along * start, [None] * len(states.states))
    adjoint = states.gradients[-1]
    nodes, refined = [], []
    for place in range(len(states.states) - 1, 0, -1):
        each = node_influences(adjoint, tangents[place], weights, groups)
        best = int(np.argmin(np.abs(each)) if least else np.argmax(np.abs(each)))
        nodes.append(best)
        refined.append(float(each[best]))
        stays = np.arange(adjoint.shape[1]) == best if groups is None else groups == best
        mask = torch.as_tensor(stays, dtype=adjoint.dtype, device=adjoint.device)
        adjoint = adjoint * mask.reshape(1, -1, *[1] * (adjoint.ndim - 2))
        if place > 1:
            adjoint = states.pull(place, adjoint)[0]
    return UnitPath(np.array(nodes[::-1]), np.array(refined[::-1]))


def node_influences(adjoint: pt.Tensor, tangent: pt.Tensor, weights: Floats, groups: Ints | None) -> Floats:
    """What the paths of an adjoint and a tangent carry through each node of a state (node,)."""
    products = pair(adjoint, tangent)
    each = weights @ products.flatten(2).sum(dim=2).cpu().numpy() if products.ndim > 2 else weights @ _numbers(products)
    if groups is None:
        return np.asarray(each)
    return np.bincount(groups, weights=each, minlength=int(groups.max()) + 1)


def _numbers(products: pt.Tensor) -> Floats:
    return np.asarray(products.cpu().numpy(), dtype=np.float64)
