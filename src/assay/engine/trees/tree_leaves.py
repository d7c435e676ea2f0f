# SPDX-License-Identifier: Apache-2.0
"""Leaves of trees as games: the players whose conditions lie on a leaf's path, and which conditions hold at a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.model.forests.forest import Forest


@dataclass(frozen=True, eq=False)
class Leaves:
    """Leaves with the same number D of players on their path.

    ``at`` (leaf,) are their nodes. ``steps`` (leaf, step) are the nodes on the path from the root, padded with −1;
    ``left`` (leaf, step) whether the path goes left; ``bit`` (leaf, step) the position of the step's player among the
    leaf's ``players`` (leaf, D). ``ratio`` (leaf, D) is the share of training rows that follow the path at the steps of
    each player.
    """

    at: Ints
    steps: Ints
    left: Masks
    bit: Ints
    players: Ints
    ratio: Floats

    def __len__(self) -> int:
        return len(self.at)

    @property
    def width(self) -> int:
        """D, the number of players on the path of each leaf."""
        return self.players.shape[1]

    def combinations(self, order: int) -> Ints:
        """Positions of all sets of ``order`` players among the D, (combination, order)."""
        return np.array(list(combinations(range(self.width), order)))

    def chunks(self, size: int) -> Iterator[Leaves]:
        """Groups of at most ``size`` leaves."""
        for start in range(0, len(self), size):
            yield Leaves(*(getattr(self, name)[start : start + size] for name in self.__dataclass_fields__))

    def patterns(self, goes_left: Masks) -> Ints:
        """The players whose conditions all hold, (leaf, row) as bits, from whether rows go left (node, row)."""
        dtype = np.min_scalar_type(2**self.width - 1)
        violated = np.zeros((len(self), goes_left.shape[1]), dtype=dtype)
        for node, left, bit in zip(self.steps.T, self.left.T, self.bit.T):
            weight = np.where(node >= 0, 1 << np.maximum(bit, 0), 0).astype(dtype)
            violated |= (goes_left[node] ^ left[:, None]) * weight[:, None]
        return np.asarray(violated ^ dtype.type(2**self.width - 1))

    @cached_property
    def reach_share(self) -> Floats:
        """Share of the training rows that reach the leaf when all players are absent, (leaf,)."""
        return np.asarray(self.ratio.prod(axis=1))


def leaves_of(forest: Forest, player: Ints) -> list[Leaves]:
    """All leaves, grouped by the number of players on their path; ``player`` (column,) is each column's player."""
    at, steps, left = _leaf_paths(forest)
    real = steps >= 0
    owner = np.where(real, player[forest.column[steps]], -1)
    first = (owner[:, :, None] == owner[:, None, :]).argmax(axis=2)  # the first step of a step's player
    new = real & (first == np.arange(owner.shape[1]))
    bit = np.where(real, np.take_along_axis(np.cumsum(new, axis=1) - 1, first, axis=1), -1)
    share, width = _shares(forest, steps, left), new.sum(axis=1)
    groups = []
    for count in np.unique(width):
        some = np.flatnonzero(width == count)
        lines, columns = np.nonzero(real[some])
        bits = bit[some][lines, columns]
        players, ratio = np.zeros((len(some), count), dtype=np.int64), np.ones((len(some), count))
        players[lines, bits] = owner[some][lines, columns]
        np.multiply.at(ratio, (lines, bits), share[some][lines, columns])
        groups.append(Leaves(at[some], steps[some], left[some], bit[some], players, ratio))
    return groups


def _leaf_paths(forest: Forest) -> tuple[Ints, Ints, Masks]:
    """Every leaf's node (leaf,), the nodes on its path and the sides taken, (leaf, step)."""
    depth = max(forest.depth, 1)
    node = forest.roots
    steps, left = np.full((len(node), depth), -1), np.zeros((len(node), depth), dtype=bool)
    found: list[tuple[Ints, Ints, Masks]] = []
    for level in range(depth + 1):
        inner = forest.column[node] >= 0
        found.append((node[~inner], steps[~inner], left[~inner]))
        if not inner.any():
            break
        node = node[inner]
        steps, left = np.repeat(steps[inner], 2, axis=0), np.repeat(left[inner], 2, axis=0)
        steps[:, level] = np.repeat(node, 2)
        left[::2, level] = True
        node = np.stack([forest.left[node], forest.right[node]], axis=1).ravel()
    at, paths, sides = zip(*found)
    return np.concatenate(at), np.concatenate(paths), np.concatenate(sides)


def _shares(forest: Forest, steps: Ints, left: Masks) -> Floats:
    """Share of a node's training rows that follow the path, (leaf, step); ½ where no training row reached the node."""
    child = np.where(left, forest.left[steps], forest.right[steps])
    whole = forest.cover[steps]
    return np.divide(forest.cover[child], whole, out=np.full(steps.shape, 0.5), where=whole > 0)
