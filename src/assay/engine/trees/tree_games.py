# SPDX-License-Identifier: Apache-2.0
"""Games of tree ensembles: Shapley values and interactions, the sums of the leaves' values, exact up to rounding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.engine.trees.leaf_values import table_is_cheapest, values_by_cover, values_by_pair, values_by_table
from assay.engine.trees.tree_leaves import Leaves, leaves_of, reach_shares
from assay.model.forests.forest import Forest

MAX_BLOCK = 2**19
"""Numbers in the largest arrays of a block of leaves and rows (4 MB of float64, about a processor's cache)."""
MAX_DECISIONS = 2**26
"""Entries (bytes) of the largest array of decisions, nodes × rows."""


@dataclass(frozen=True, eq=False)
class TreeGame:
    """The game of a forest at rows: outputs · readout + constant, with players removed by cover or by a background.

    ``player`` (column,) is the player of each column, of ``parts`` players; ``matrix`` (row, column) the rows in the
    trees' encoding; ``readout`` (row, out) and ``constant`` (row,) the linear function of the outputs; ``background``
    (row, column) the rows that replace absent players, ``None`` for path-dependent values.
    """

    forest: Forest
    player: Ints
    parts: int
    matrix: Floats
    readout: Floats
    constant: Floats
    background: Floats | None = None

    @cached_property
    def empty(self) -> Floats:
        """v(∅) (row,): the value with all players absent."""
        if self.background is not None:
            mean = self.forest.outputs(self.background).mean(axis=0)
        else:
            mean = self.forest.base + reach_shares(self.forest) @ self.forest.value
        return np.asarray(self.readout @ mean + self.constant)

    def shapley(self) -> Floats:
        """Shapley values (row, part)."""
        return self._sum_leaves(1)

    def interactions(self) -> Floats:
        """Shapley interaction indices of pairs (row, part, part), symmetric, 0 on the diagonal."""
        pairs = self._sum_leaves(2).reshape(len(self.matrix), self.parts, self.parts)
        return pairs + np.swapaxes(pairs, 1, 2)

    def _sum_leaves(self, order: int) -> Floats:
        """Sum of the leaves' values for sets of ``order`` players: (row, part^order); of pairs the upper triangle."""
        out = np.zeros((len(self.matrix), self.parts**order))
        background = self.matrix[:0] if self.background is None else self.background
        readouts, of = np.unique(self.readout, axis=0, return_inverse=True)
        most = max(1, len(background), min(len(self.matrix), 4096), 8 * self.forest.depth)
        for forest in self.forest.split(MAX_DECISIONS // most):
            groups = [group for group in leaves_of(forest, self.player) if group.width >= order]
            absent = forest.goes_left(background)
            for readout, rows in zip(readouts, (np.flatnonzero(of.ravel() == i) for i in range(len(readouts)))):
                value = forest.value @ readout
                for some in _blocks(rows, MAX_DECISIONS // len(forest.column)):
                    present = forest.goes_left(self.matrix[some])
                    for group in groups:
                        leaves = group.take(value[group.at] != 0)
                        self._add(out, some, leaves, value, present, absent, order)
        return out

    def _add(
        self, out: Floats, rows: Ints, group: Leaves, value: Floats, present: Masks, absent: Masks, order: int
    ) -> None:
        """Add a group of leaves, with the ``value`` (node,) of each, to ``out`` at some rows.

        ``present`` and ``absent`` (node, row) are the decisions of the rows and of the background.
        """
        sets, width, background = group.combinations(order), group.width, absent.shape[1]
        tabled = table_is_cheapest(width, len(sets), order, len(rows), background or None)
        of_leaf = 2**width * len(sets) if tabled else 1
        of_row = max(len(sets), 0 if tabled else background * (1 + width // 8) or width)  # numbers for a leaf and a row
        for some in _blocks(np.arange(len(rows)), MAX_BLOCK // of_row):
            for leaves in group.chunks(MAX_BLOCK // max(of_leaf, len(some) * of_row)):
                patterns, worth = leaves.patterns(present[:, some]), value[leaves.at]
                others = leaves.patterns(absent) if background else None
                if tabled:
                    found = values_by_table(leaves, patterns, others, worth, sets)
                elif others is None:
                    found = values_by_cover(patterns, leaves.ratio, worth, sets)
                else:
                    found = values_by_pair(patterns, others, worth, sets, width)
                columns, sums = _sum_by_set(found, leaves.players[:, sets], self.parts)
                out[np.ix_(rows[some], columns)] += sums


def _sum_by_set(found: Floats, players: Ints, parts: int) -> tuple[Ints, Floats]:
    """Columns of the output, and the sum (row, column) of the values (row, leaf · set) whose players they belong to.

    ``players`` (leaf, set, order) ascend within a set.
    """
    position = (players @ parts ** np.arange(players.shape[2])[::-1]).ravel()
    order = np.argsort(position, kind="stable")
    columns, starts = np.unique(position[order], return_index=True)
    return columns, np.add.reduceat(found[:, order], starts, axis=1)


def _blocks(rows: Ints, size: int) -> Iterator[Ints]:
    size = max(1, size)
    return (rows[start : start + size] for start in range(0, len(rows), size))
