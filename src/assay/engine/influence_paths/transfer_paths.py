# SPDX-License-Identifier: Apache-2.0
"""Paths that stay at one position, cross once to another, and stay there: one layer's share each, by two chains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.engine.influence_paths.path_passes import PathStates, pair

if TYPE_CHECKING:
    import torch as pt


@dataclass(frozen=True, eq=False)
class TransferPaths:
    """Influence of the paths of a source that cross between positions at most once.

    ``copy`` never crosses. ``crossings`` (layer,) cross in that layer, by attention or recurrence; ``heads`` (layer,
    head) splits each by the head of attention, NaN where heads are not known. In units of the target.
    """

    copy: float
    crossings: Floats
    heads: Floats

    @property
    def total(self) -> float:
        """The influence of all these paths together."""
        return self.copy + float(self.crossings.sum())

    @property
    def graph(self) -> Floats:
        """(layer, 3): what the edges of each layer carry: copy at the source, transfer, copy at the end."""
        later = np.cumsum(self.crossings[::-1])[::-1] - self.crossings
        earlier = np.cumsum(self.crossings) - self.crossings
        return np.stack([self.copy + later, self.crossings, earlier], axis=1)


def transfer_paths(
    states: PathStates, weights: Floats, groups: Ints, sources: Sequence[Masks], along: pt.Tensor
) -> tuple[list[TransferPaths], int]:
    """For each source the paths that cross at most once, and the number of positions at which they end.

    ``groups`` (position,) numbers the positions; those of one number are one node of the graph in every layer.
    ``sources`` are masks over a row, of elements of one group each; ``along`` the path's derivative at the points. With
    prefixes u(l+1) = J(l)[s←s] u(l) and suffixes w(l) = J(l)[e←e]ᵀ w(l+1), the path that crosses in layer l carries
    w(l+1)ᵀ J(l)[e←s] u(l), averaged with ``weights`` over the points.
    """
    last, layers = len(states.states) - 1, len(states.cut.layers)
    gradient = states.gradients[last]
    active = gradient.detach().abs().flatten(2).sum(2).sum(0).cpu().numpy() > 0
    ends = sorted(set(groups[active].tolist()))
    own = [int(groups[_positions(source)][0]) for source in sources]
    tangents = [_prefix(states, groups, source, along, group) for source, group in zip(sources, own)]
    most = max((one.heads for one in states.cut.projections.values()), default=0)
    copies, crossings = np.zeros(len(sources)), np.zeros((len(sources), layers))
    heads = np.full((len(sources), layers, most), np.nan)
    for end in ends:
        stays = _mask(groups == end, gradient)
        adjoint = gradient * stays
        for number, (group, (found, _)) in enumerate(zip(own, tangents)):
            copies[number] += _mean(pair(adjoint, found[last]), weights) if group == end else 0.0
        for place in range(last, 0, -1):
            for number, (group, (found, _)) in enumerate(zip(own, tangents)):
                crossings[number, place - 1] += 0.0 if group == end else _mean(pair(adjoint, found[place]), weights)
            if place == 1 and states.cut.layers[0] not in states.inputs:
                continue
            earlier, mixed = states.pull(place, adjoint)
            for number, (group, (_, inputs)) in enumerate(zip(own, tangents)):
                if mixed is not None and group != end:
                    split = _by_head(pair(mixed, inputs[states.cut.layers[place - 1]]), states, place, weights)
                    row = heads[number, place - 1, : len(split)]
                    row[:] = np.nan_to_num(row) + split
            adjoint = earlier * stays
    return [TransferPaths(float(c), x, h) for c, x, h in zip(copies, crossings, heads)], len(ends)


def _prefix(states: PathStates, groups: Ints, source: Masks, along: pt.Tensor, group: int) -> Any:
    """The tangents of all states when only the source moves, and only its own positions pass anything on."""
    stays = _mask(groups == group, along)
    start = _like(source, along)
    return states.cut.tangents(states.rows, along * start, [start, *[stays] * len(states.cut.layers)])


def _by_head(product: pt.Tensor, states: PathStates, place: int, weights: Floats) -> Floats:
    """The products at the input of a mixer, summed by head: (head,)."""
    heads = states.cut.projections[states.cut.layers[place - 1]].heads
    each = product.reshape(*product.shape[:2], heads, -1).sum(dim=(1, 3)).cpu().numpy()
    return np.asarray(weights @ each)


def _positions(source: Masks) -> Masks:
    return np.asarray(source.reshape(len(source), -1).any(axis=1))


def _mask(chosen: Masks, like: pt.Tensor) -> pt.Tensor:
    """A mask of positions as numbers (1, position, 1)."""
    return _like(chosen[:, None], like)


def _like(mask: Masks, like: pt.Tensor) -> pt.Tensor:
    import torch

    return torch.as_tensor(np.ascontiguousarray(mask), dtype=like.dtype, device=like.device)[None]


def _mean(product: pt.Tensor, weights: Floats) -> float:
    """The weighted sum over the points of what an adjoint and a tangent give."""
    return float(weights @ product.flatten(1).sum(dim=1).cpu().numpy())
