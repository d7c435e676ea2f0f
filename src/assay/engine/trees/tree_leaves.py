# SPDX-License-Identifier: Apache-2.0
"""Leaves of trees as games: the players whose conditions lie on a leaf's path, and which conditions hold at a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.model.forests.forest import Forest

WORD = 64
"""Bits in a word of a pattern; a leaf with more players has several words."""
MAX_STEPS = 2**22
"""Steps of paths (leaves × depth) that are arranged at a time."""


@dataclass(frozen=True, eq=False)
class Leaves:
    """Leaves with the same number D of players on their path.

    ``at`` (leaf,) are their nodes. ``steps`` (leaf, step) are the nodes on the path, padded with −1; ``left`` (leaf,
    step) whether the path goes left; ``bit`` (leaf, step) the position of the step's player among the leaf's
    ``players`` (leaf, D). ``ratio`` (leaf, D) is the share of training rows that follow the path at the steps of each
    player.
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

    def take(self, which: Ints | Masks | slice) -> Leaves:
        """Some of the leaves."""
        return Leaves(*(getattr(self, name)[which] for name in self.__dataclass_fields__))

    def chunks(self, size: int) -> Iterator[Leaves]:
        """Groups of at most ``size`` leaves (at least one)."""
        for start in range(0, len(self), max(1, size)):
            yield self.take(slice(start, start + max(1, size)))

    def patterns(self, goes_left: Masks) -> Ints:
        """The players whose conditions all hold at a row, as bits (leaf, word, row), from ``goes_left`` (node, row).

        Player d is bit d mod 64 of word d // 64.
        """
        full = full_pattern(self.width)
        violated = np.zeros((len(self), len(full), goes_left.shape[1]), dtype=full.dtype)
        leaf = np.arange(len(self))
        for node, left, bit in zip(self.steps.T, self.left.T, self.bit.T):
            word, place = np.divmod(np.maximum(bit, 0).astype(np.int64), WORD)
            weight = np.where(node >= 0, np.left_shift(np.uint64(1), place.astype(np.uint64)), 0).astype(full.dtype)
            fails = (goes_left[node] ^ left[:, None]) * weight[:, None]
            if len(full) == 1:
                violated[:, 0] |= fails
            else:
                violated[leaf, word] |= fails
        return np.asarray(violated ^ full[:, None])


def full_pattern(width: int) -> Ints:
    """The pattern (word,) of all of ``width`` players; one word of the smallest type where they fit into 64 bits."""
    if width <= WORD:
        return np.array([2**width - 1], dtype=np.min_scalar_type(2**width - 1))
    whole, rest = divmod(width, WORD)
    return np.array([2**WORD - 1] * whole + [2**rest - 1] * (rest > 0), dtype=np.uint64)


def unpack(patterns: Ints, width: int) -> Masks:
    """Whether each player's conditions hold, (leaf, D, row), from patterns (leaf, word, row)."""
    out = np.empty((len(patterns), width, patterns.shape[2]), dtype=bool)
    for player in range(width):
        out[:, player] = patterns[:, player // WORD] & patterns.dtype.type(1 << player % WORD)
    return out


def leaves_of(forest: Forest, player: Ints) -> list[Leaves]:
    """All leaves, grouped by the number of players on their path; ``player`` (column,) is each column's player."""
    parent, level = _parents(forest)
    at = np.flatnonzero(forest.column < 0)
    at = at[np.argsort(level[at], kind="stable")]
    size = max(1, MAX_STEPS // max(1, int(level.max(initial=0))))
    return [
        group
        for start in range(0, len(at), size)
        for group in _groups(
            forest, player, parent, at[start : start + size], int(level[at[start : start + size]].max())
        )
    ]


def reach_shares(forest: Forest) -> Floats:
    """Share of the training rows that reach each node of its tree (node,): the product of the shares on its path."""
    share, at = np.zeros(len(forest.column)), forest.roots
    share[at] = 1.0
    while len(at := at[forest.column[at] >= 0]):
        for child in (forest.left[at], forest.right[at]):
            share[child] = share[at] * _shares(forest, at, child)
        at = np.concatenate([forest.left[at], forest.right[at]])
    return share


def _parents(forest: Forest) -> tuple[Ints, Ints]:
    """The parent of each node (−1 at roots), and the number of splits above it; (node,) each."""
    parent, level = np.full(len(forest.column), -1), np.zeros(len(forest.column), dtype=np.int64)
    at, depth = forest.roots, 0
    while len(at := at[forest.column[at] >= 0]):
        depth += 1
        parent[forest.left[at]] = parent[forest.right[at]] = at
        at = np.concatenate([forest.left[at], forest.right[at]])
        level[at] = depth
    return parent, level


def _groups(forest: Forest, player: Ints, parent: Ints, at: Ints, depth: int) -> Iterator[Leaves]:
    """The leaves ``at``, grouped by their number of players; ``depth`` is the length of the longest path."""
    steps, share = np.full((len(at), depth), -1), np.ones((len(at), depth))
    left = np.zeros((len(at), depth), dtype=bool)
    node = at
    for place in range(depth):  # from the leaf up to the root
        above = np.where(node >= 0, parent[node], -1)
        real = above >= 0
        steps[:, place], left[:, place] = above, real & (forest.left[above] == node)
        share[real, place] = _shares(forest, above[real], node[real])
        node = above
    owner = np.where(steps >= 0, player[forest.column[steps]], -1)
    order = np.argsort(owner, axis=1, kind="stable")
    ordered = np.take_along_axis(owner, order, axis=1)
    new = (ordered >= 0) & (np.diff(ordered, axis=1, prepend=-1) != 0)
    rank = np.cumsum(new, axis=1) - 1  # −1 where a path is padded
    bit = np.empty_like(rank)
    np.put_along_axis(bit, order, rank, axis=1)
    width = new.sum(axis=1)
    for count in np.unique(width):
        some = np.flatnonzero(width == count)
        lines, columns = np.nonzero(new[some])
        players, ratio = np.zeros((len(some), count), dtype=np.int64), np.ones((len(some), count))
        players[lines, rank[some][lines, columns]] = ordered[some][lines, columns]
        lines, columns = np.nonzero(steps[some] >= 0)
        np.multiply.at(ratio, (lines, bit[some][lines, columns]), share[some][lines, columns])
        longest = int((steps[some] >= 0).sum(axis=1).max(initial=0))
        path, places = steps[some, :longest].astype(np.int32), bit[some, :longest].astype(np.int32)
        yield Leaves(at[some], path, left[some, :longest], places, players, ratio)


def _shares(forest: Forest, node: Ints, child: Ints) -> Floats:
    """Share of a node's training rows that go to a child; ½ where no training row reached the node."""
    whole = forest.cover[node]
    return np.divide(forest.cover[child], whole, out=np.full(len(node), 0.5), where=whole > 0)
