# SPDX-License-Identifier: Apache-2.0
"""Games of trees: Shapley values and interactions leaf by leaf, exact up to rounding.

A leaf adds its value where every condition on the way to it holds. Conditions of one player belong together, so with D
players on the way the leaf's game is a product of D factors: x_d (do the row's conditions hold?) where player d is
present, b_d (do the background row's?) or the share r_d of training rows (path-dependent) where it is absent. On the
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

TABLED = 16
"""Leaves of more players have no table of their 2^D patterns."""
BLOCK = 2**19
"""Numbers in the largest arrays made for some leaves and rows (4 MB of float64, near a processor's cache)."""
HELD = 2**26
"""Bytes of what is held of nodes × rows at a time."""


@dataclass(frozen=True, eq=False)
class TreeGame:
    """The game of a forest at rows: outputs · readout + constant, with players removed by cover or by a background.

    ``player`` (column,) says which of ``parts`` players holds a column; ``matrix`` (row, column) the rows as the trees
    read them; ``readout`` (row, out) and ``constant`` (row,) what is made of the outputs; ``background`` (row, column)
    the rows that absent players come from, ``None`` for path-dependent values.
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
        """v(∅) (row,)."""
        if self.background is not None:
            mean = self.forest.outputs(self.background).mean(axis=0)
        else:
            groups = leaves_of(self.forest, self.player)
            mean = self.forest.base + sum(g.reached @ self.forest.value[g.at] for g in groups)
        return np.asarray(self.readout @ mean + self.constant)

    def shapley(self) -> Floats:
        """Shapley values (row, part)."""
        return self._summed(1)

    def interactions(self) -> Floats:
        """Shapley interaction indices of pairs (row, part, part), symmetric, 0 on the diagonal."""
        pairs = self._summed(2).reshape(len(self.matrix), self.parts, self.parts)
        return pairs + np.swapaxes(pairs, 1, 2)

    def _summed(self, order: int) -> Floats:
        """What the leaves add for their players, ``order`` at a time: (row, part^order), of pairs one half."""
        out = np.zeros((len(self.matrix), self.parts**order))
        other = self.matrix[:0] if self.background is None else self.background
        readouts, of = np.unique(self.readout, axis=0, return_inverse=True)
        for forest in self.forest.split(HELD // max(1, len(other), min(len(self.matrix), 4096))):
            groups = [group for group in leaves_of(forest, self.player) if group.width >= order]
            others = forest.goes_left(other)
            for readout, rows in zip(readouts, (np.flatnonzero(of.ravel() == i) for i in range(len(readouts)))):
                for some in _blocks(rows, HELD // len(forest.column)):
                    goes = forest.goes_left(self.matrix[some])
                    for group in groups:
                        self._add(out, some, group, forest.value @ readout, goes, others, order)
        return out

    def _add(
        self, out: Floats, rows: Ints, group: Leaves, value: Floats, goes: Masks, others: Masks, order: int
    ) -> None:
        """Add to ``out`` what a group of leaves, with the ``value`` (node,) of each, says of some rows."""
        held = self.background is not None
        chosen = group.combinations(order)
        tabled = group.width <= TABLED and (held or 2**group.width <= len(rows))
        wide = max(len(rows), 2**group.width) if tabled else len(rows)
        for leaves in group.chunks(max(1, BLOCK // (wide * len(chosen)))):
            patterns, worth = leaves.patterns(goes), value[leaves.at]
            absent = leaves.patterns(others) if held else None
            if tabled:
                found = looked_up(leaves, patterns, absent, worth, chosen)
            elif absent is None:
                found = worked_out(patterns, leaves.ratio, worth, chosen)
            else:
                shares = (absent[:, None] >> np.arange(group.width)[:, None]) & 1  # (leaf, D, background row)
                each = (worked_out(patterns, one, worth, chosen) for one in np.moveaxis(shares, 2, 0))
                found = sum(each) / absent.shape[1]
            columns, to = _places(leaves, chosen, self.parts)
            out[np.ix_(rows, columns)] += found @ to


def _places(leaves: Leaves, chosen: Ints, parts: int) -> tuple[Ints, Floats]:
    """The columns of ``out`` that the leaves' combinations belong to, and who goes where: (found, column), 0 or 1."""
    who = np.sort(leaves.players[:, chosen], axis=2)  # (leaf, combination, order)
    places = who @ parts ** np.arange(chosen.shape[1])[::-1]
    met, local = np.unique(places, return_inverse=True)
    to = np.zeros((places.size, len(met)))
    to[np.arange(places.size), local.ravel()] = 1.0
    return met, to


def looked_up(leaves: Leaves, patterns: Ints, absent: Ints | None, worth: Floats, chosen: Ints) -> Floats:
    """What leaves add for combinations of players, (row, leaf · combination), read from a table of all patterns."""
    width, size = leaves.width, 2**leaves.width
    tables = np.zeros((len(leaves), size, len(chosen)))
    histogram = None if absent is None else histograms(absent, size)
    for p, weight in nodes(width):
        table = extended(leaves.ratio, p) if histogram is None else blended(histogram, p, width)
        for place, players in enumerate(chosen):
            bent = table
            for d in players:
                bent = derived(bent, p, d)
            tables[:, :, place] += weight * bent
    tables *= worth[:, None, None]
    index = patterns.T.astype(np.intp) + np.arange(len(leaves)) * size
    return tables.reshape(-1, len(chosen)).take(index, axis=0).reshape(len(index), -1)


def histograms(absent: Ints, size: int) -> Floats:
    """Share of the background rows with each pattern, (leaf, pattern)."""
    flat = absent.astype(np.int64) + np.arange(len(absent))[:, None] * size
    counts = np.bincount(flat.ravel(), minlength=len(absent) * size)
    return np.asarray(counts.reshape(len(absent), size) / absent.shape[1])


def nodes(width: int) -> list[tuple[float, float]]:
    """Gauss–Legendre places in (0, 1) with their weights, exact for polynomials of degree ``width`` − 1."""
    places, weights = np.polynomial.legendre.leggauss((width + 1) // 2)
    return list(zip((places + 1) / 2, weights / 2))


def extended(ratio: Floats, p: float) -> Floats:
    """V(p) of every pattern, (leaf, 2^D): Π (p x_d + (1 − p) r_d)."""
    table = np.ones((len(ratio), 1))
    for share in ratio.T[:, :, None]:
        table = np.concatenate([table * ((1 - p) * share), table * (p + (1 - p) * share)], axis=1)
    return table


def blended(histogram: Floats, p: float, width: int) -> Floats:
    """V(p) of every pattern, (leaf, 2^D): the mean over b of Π (p x_d + (1 − p) b_d), one factor at a time."""
    table = histogram
    for d in range(width):
        pairs = table.reshape(len(table), -1, 2, 2**d)
        lacking, having = pairs[:, :, 0], pairs[:, :, 1]
        table = np.stack([(1 - p) * having, p * lacking + having], axis=2).reshape(len(table), -1)
    return table


def derived(table: Floats, p: float, d: int) -> Floats:
    """∂_d V(p) of every pattern, from V(p)."""
    pairs = table.reshape(len(table), -1, 2, 2**d)
    lacking = pairs[:, :, 0] / (1 - p)
    return np.stack([-lacking, (pairs[:, :, 1] - lacking) / p], axis=2).reshape(len(table), -1)


def worked_out(patterns: Ints, ratio: Floats, worth: Floats, chosen: Ints) -> Floats:
    """The same where a table would be longer than the rows are many: (row, leaf · combination), node by node of p.

    ∂_d V = V · u_d with u_d = −1 / (1 − p) where x_d = 0, and (1 − r_d) / (p + (1 − p) r_d) where x_d = 1.
    """
    leaves, width = ratio.shape
    holds = (patterns[:, None] >> np.arange(width)[:, None]) & 1 == 1  # (leaf, D, row)
    found = np.zeros((leaves, len(chosen), patterns.shape[1]))
    for p, weight in nodes(width):
        here = p + (1 - p) * ratio
        factors = np.where(holds, here[:, :, None], ((1 - p) * ratio)[:, :, None])
        slopes = np.where(holds, ((1 - ratio) / here)[:, :, None], -1 / (1 - p))
        whole = weight * worth[:, None] * factors.prod(axis=1)
        found += whole[:, None] * slopes[:, chosen].prod(axis=2)
    return np.moveaxis(found, 2, 0).reshape(patterns.shape[1], -1)


def _blocks(rows: Ints, size: int) -> list[Ints]:
    return [rows[start : start + max(1, size)] for start in range(0, len(rows), max(1, size))]
