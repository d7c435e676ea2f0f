# SPDX-License-Identifier: Apache-2.0
"""The leaves of trees as games: which players decide whether a row falls into a leaf, and which do so at given rows."""

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
    """Leaves with the same number D of players on their way.

    ``at`` (leaf,) are their nodes. ``steps`` (leaf, step) are the nodes passed, −1 behind the last; ``left`` (leaf,
    step) whether the way goes left; ``bit`` (leaf, step) the place of the step's player among the leaf's ``players``
    (leaf, D). ``ratio`` (leaf, D) is the share of training rows that go the leaf's way at the steps of each player.
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
        """D."""
        return self.players.shape[1]

    def combinations(self, order: int) -> Ints:
        """Places of ``order`` players among the D, (combination, order)."""
        return np.array(list(combinations(range(self.width), order)))

    def chunks(self, size: int) -> Iterator[Leaves]:
        """At most ``size`` leaves at a time."""
        for start in range(0, len(self), size):
            yield Leaves(*(getattr(self, name)[start : start + size] for name in self.__dataclass_fields__))

    def patterns(self, goes_left: Masks) -> Ints:
        """Which players' conditions all hold, (leaf, row) as bits, from whether rows go left (node, row)."""
        kind = np.min_scalar_type(2**self.width - 1)
        broken = np.zeros((len(self), goes_left.shape[1]), dtype=kind)
        for node, left, bit in zip(self.steps.T, self.left.T, self.bit.T):
            weight = np.where(node >= 0, 1 << np.maximum(bit, 0), 0).astype(kind)
            broken |= (goes_left[node] ^ left[:, None]) * weight[:, None]
        return np.asarray(broken ^ kind.type(2**self.width - 1))

    @cached_property
    def reached(self) -> Floats:
        """Share of the training rows that reach the leaf when all players are absent, (leaf,)."""
        return np.asarray(self.ratio.prod(axis=1))


def leaves_of(forest: Forest, player: Ints) -> list[Leaves]:
    """All leaves, grouped by the number of players on their way; ``player`` (column,) says who holds a column."""
    at, steps, left = _ways(forest)
    real = steps >= 0
    who = np.where(real, player[forest.column[steps]], -1)
    first = (who[:, :, None] == who[:, None, :]).argmax(axis=2)  # the step at which a step's player came first
    new = real & (first == np.arange(who.shape[1]))
    bit = np.where(real, np.take_along_axis(np.cumsum(new, axis=1) - 1, first, axis=1), -1)
    share, width = _shares(forest, steps, left), new.sum(axis=1)
    groups = []
    for count in np.unique(width):
        some = np.flatnonzero(width == count)
        lines, columns = np.nonzero(real[some])
        bits = bit[some][lines, columns]
        players, ratio = np.zeros((len(some), count), dtype=np.int64), np.ones((len(some), count))
        players[lines, bits] = who[some][lines, columns]
        np.multiply.at(ratio, (lines, bits), share[some][lines, columns])
        groups.append(Leaves(at[some], steps[some], left[some], bit[some], players, ratio))
    return groups


def _ways(forest: Forest) -> tuple[Ints, Ints, Masks]:
    """Every leaf with the nodes passed on its way and the side taken, (leaf, step)."""
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
    at, ways, sides = zip(*found)
    return np.concatenate(at), np.concatenate(ways), np.concatenate(sides)


def _shares(forest: Forest, steps: Ints, left: Masks) -> Floats:
    """Share of a node's training rows that go the way's side, (leaf, step); a half where none came there at all."""
    child = np.where(left, forest.left[steps], forest.right[steps])
    whole = forest.cover[steps]
    return np.divide(forest.cover[child], whole, out=np.full(steps.shape, 0.5), where=whole > 0)
