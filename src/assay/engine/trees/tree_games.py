# SPDX-License-Identifier: Apache-2.0
"""Games of tree ensembles: Shapley values and interactions computed leaf by leaf, exact up to rounding.

A leaf adds its value where every condition on its path holds. The conditions of one player belong together, so with D
players on the path the leaf's game is a product of D factors: x_d (do the row's conditions hold?) where player d is
present; where it is absent, b_d (do the background row's?) or the share r_d of training rows (path-dependent). On the
diagonal its multilinear extension is V(p) = Π (p x_d + (1 − p) b_d), averaged over the background; the Shapley value of
d is ∫ ∂_d V dp and the interaction of d and e ∫ ∂_d ∂_e V dp, polynomials that ⌈D/2⌉ Gauss–Legendre nodes integrate
exactly. With x_d = 0, ∂_d V = −V / (1 − p); with x_d = 1 it is (V − V at x_d = 0, over 1 − p) / p.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.engine.trees.tree_leaves import Leaves, leaves_of
from assay.model.forests.forest import Forest

MAX_TABLE_PLAYERS = 16
"""Leaves with more players are computed without a table of their 2^D patterns."""
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
            groups = leaves_of(self.forest, self.player)
            mean = self.forest.base + sum(g.reach_share @ self.forest.value[g.at] for g in groups)
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
        for forest in self.forest.split(MAX_DECISIONS // max(1, len(background), min(len(self.matrix), 4096))):
            groups = [group for group in leaves_of(forest, self.player) if group.width >= order]
            absent = forest.goes_left(background)
            for readout, rows in zip(readouts, (np.flatnonzero(of.ravel() == i) for i in range(len(readouts)))):
                for some in _blocks(rows, MAX_DECISIONS // len(forest.column)):
                    present = forest.goes_left(self.matrix[some])
                    for group in groups:
                        self._add(out, some, group, forest.value @ readout, present, absent, order)
        return out

    def _add(
        self, out: Floats, rows: Ints, group: Leaves, value: Floats, present: Masks, absent: Masks, order: int
    ) -> None:
        """Add a group of leaves, with the ``value`` (node,) of each, to ``out`` at some rows.

        ``present`` and ``absent`` (node, row) are the decisions of the rows and of the background.
        """
        has_background = self.background is not None
        sets = group.combinations(order)
        tabled = group.width <= MAX_TABLE_PLAYERS and (has_background or 2**group.width <= len(rows))
        wide = max(len(rows), 2**group.width) if tabled else len(rows)
        for leaves in group.chunks(max(1, MAX_BLOCK // (wide * len(sets)))):
            patterns, leaf_value = leaves.patterns(present), value[leaves.at]
            others = leaves.patterns(absent) if has_background else None
            if tabled:
                found = contributions_from_table(leaves, patterns, others, leaf_value, sets)
            elif others is None:
                found = contributions_by_node(patterns, leaves.ratio, leaf_value, sets)
            else:
                shares = (others[:, None] >> np.arange(group.width)[:, None]) & 1  # (leaf, D, background row)
                each = (contributions_by_node(patterns, one, leaf_value, sets) for one in np.moveaxis(shares, 2, 0))
                found = sum(each) / others.shape[1]
            columns, scatter = _scatter_matrix(leaves, sets, self.parts)
            out[np.ix_(rows, columns)] += found @ scatter


def _scatter_matrix(leaves: Leaves, sets: Ints, parts: int) -> tuple[Ints, Floats]:
    """The columns of ``out`` of the leaves' sets of players, and the 0/1 matrix (leaf · set, column) to them."""
    players = np.sort(leaves.players[:, sets], axis=2)  # (leaf, set, order)
    positions = players @ parts ** np.arange(sets.shape[1])[::-1]
    columns, local = np.unique(positions, return_inverse=True)
    scatter = np.zeros((positions.size, len(columns)))
    scatter[np.arange(positions.size), local.ravel()] = 1.0
    return columns, scatter


def contributions_from_table(leaves: Leaves, patterns: Ints, absent: Ints | None, value: Floats, sets: Ints) -> Floats:
    """Values of the leaves' games for sets of players, (row, leaf · set), read from a table of all 2^D patterns."""
    width, size = leaves.width, 2**leaves.width
    tables = np.zeros((len(leaves), size, len(sets)))
    histogram = None if absent is None else pattern_shares(absent, size)
    for p, weight in gauss_nodes(width):
        if histogram is None:
            extension = extension_by_cover(leaves.ratio, p)
        else:
            extension = extension_by_background(histogram, p, width)
        for number, players in enumerate(sets):
            derivative = extension
            for d in players:
                derivative = partial_derivative(derivative, p, d)
            tables[:, :, number] += weight * derivative
    tables *= value[:, None, None]
    index = patterns.T.astype(np.intp) + np.arange(len(leaves)) * size
    return tables.reshape(-1, len(sets)).take(index, axis=0).reshape(len(index), -1)


def pattern_shares(absent: Ints, size: int) -> Floats:
    """Share of the background rows with each pattern, (leaf, pattern)."""
    flat = absent.astype(np.int64) + np.arange(len(absent))[:, None] * size
    counts = np.bincount(flat.ravel(), minlength=len(absent) * size)
    return np.asarray(counts.reshape(len(absent), size) / absent.shape[1])


def gauss_nodes(width: int) -> list[tuple[float, float]]:
    """Gauss–Legendre nodes in (0, 1) with their weights, exact for polynomials of degree ``width`` − 1."""
    nodes, weights = np.polynomial.legendre.leggauss((width + 1) // 2)
    return list(zip((nodes + 1) / 2, weights / 2))


def extension_by_cover(ratio: Floats, p: float) -> Floats:
    """V(p) of every pattern, (leaf, 2^D): Π (p x_d + (1 − p) r_d)."""
    table = np.ones((len(ratio), 1))
    for share in ratio.T[:, :, None]:
        table = np.concatenate([table * ((1 - p) * share), table * (p + (1 - p) * share)], axis=1)
    return table


def extension_by_background(histogram: Floats, p: float, width: int) -> Floats:
    """V(p) of every pattern, (leaf, 2^D): the mean over b of Π (p x_d + (1 − p) b_d), one factor at a time."""
    table = histogram
    for d in range(width):
        pairs = table.reshape(len(table), -1, 2, 2**d)
        fails, holds = pairs[:, :, 0], pairs[:, :, 1]
        table = np.stack([(1 - p) * holds, p * fails + holds], axis=2).reshape(len(table), -1)
    return table


def partial_derivative(table: Floats, p: float, d: int) -> Floats:
    """∂_d V(p) of every pattern, from V(p)."""
    pairs = table.reshape(len(table), -1, 2, 2**d)
    fails = pairs[:, :, 0] / (1 - p)
    return np.stack([-fails, (pairs[:, :, 1] - fails) / p], axis=2).reshape(len(table), -1)


def contributions_by_node(patterns: Ints, ratio: Floats, value: Floats, sets: Ints) -> Floats:
    """The same as ``contributions_from_table`` without a table: (row, leaf · set), summed over the quadrature nodes p.

    Used where a table would be longer than the number of rows. ∂_d V = V · u_d with u_d = −1 / (1 − p) where x_d = 0,
    and (1 − r_d) / (p + (1 − p) r_d) where x_d = 1.
    """
    leaves, width = ratio.shape
    holds = (patterns[:, None] >> np.arange(width)[:, None]) & 1 == 1  # (leaf, D, row)
    found = np.zeros((leaves, len(sets), patterns.shape[1]))
    for p, weight in gauss_nodes(width):
        present = p + (1 - p) * ratio
        factors = np.where(holds, present[:, :, None], ((1 - p) * ratio)[:, :, None])
        slopes = np.where(holds, ((1 - ratio) / present)[:, :, None], -1 / (1 - p))
        product = weight * value[:, None] * factors.prod(axis=1)
        found += product[:, None] * slopes[:, sets].prod(axis=2)
    return np.moveaxis(found, 2, 0).reshape(patterns.shape[1], -1)


def _blocks(rows: Ints, size: int) -> list[Ints]:
    return [rows[start : start + max(1, size)] for start in range(0, len(rows), max(1, size))]
