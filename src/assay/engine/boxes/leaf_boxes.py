# SPDX-License-Identifier: Apache-2.0
"""The leaves of a forest as boxes of cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.types import Ints
from assay.engine.boxes.cells import Cells
from assay.model.forests.forest import Forest


@dataclass(frozen=True, eq=False)
class LeafBoxes:
    """The leaves that one row can reach by moving its movable elements, tree by tree.

    ``first`` and ``last`` (leaf, player) are the first and the last cell of each player in which the leaf is reached;
    ``node`` (leaf,) is the leaf's place in the forest and ``starts`` (tree,) the first leaf of each tree.
    """

    first: Ints
    last: Ints
    node: Ints
    starts: Ints


def leaf_boxes(forest: Forest, cells: Cells, players: Ints, stays: np.ndarray) -> LeafBoxes:
    """The boxes over the elements ``players``, where all other elements stay.

    ``stays`` (node,) says on which side a split on another element sends the row: True for left.
    """
    split = forest.column >= 0
    element = np.where(split, forest.origin[np.where(split, forest.column, 0)], -1)
    player_of = np.full(int(forest.origin.max(initial=-1)) + 2, -1, dtype=np.int64)
    player_of[players] = np.arange(len(players))
    player = np.where(split, player_of[element], -1)
    counts = np.array([len(cells.ends[one]) for one in players.tolist()], dtype=np.int32)
    at, tree = forest.roots, np.arange(len(forest.roots))
    first = np.zeros((len(at), len(players)), dtype=np.int32)
    last = np.broadcast_to(counts, first.shape).copy()
    found: list[tuple[Ints, Ints, Ints, Ints]] = []
    while len(at):
        leaf = ~split[at]
        found.append((tree[leaf], at[leaf], first[leaf], last[leaf]))
        at, tree, first, last = at[~leaf], tree[~leaf], first[~leaf], last[~leaf]
        here, rows = player[at], np.arange(len(at))
        sides = []
        for is_left in (True, False):
            low, high = first.copy(), last.copy()
            moves = here >= 0
            if is_left:
                high[rows[moves], here[moves]] = np.minimum(high[rows[moves], here[moves]], cells.last_left[at[moves]])
            else:
                low[rows[moves], here[moves]] = np.maximum(
                    low[rows[moves], here[moves]], cells.last_left[at[moves]] + 1
                )
            reached = np.where(moves, (low <= high).all(axis=1), stays[at] == is_left)
            child = (forest.left if is_left else forest.right)[at]
            sides.append((child[reached], tree[reached], low[reached], high[reached]))
        at, tree, first, last = (np.concatenate(pair) for pair in zip(*sides))
    trees, nodes, firsts, lasts = (np.concatenate(part) for part in zip(*found))
    order = np.argsort(trees, kind="stable")
    starts = np.searchsorted(trees[order], np.arange(len(forest.roots)))
    return LeafBoxes(firsts[order], lasts[order], nodes[order], starts)
