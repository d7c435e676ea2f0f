# SPDX-License-Identifier: Apache-2.0
"""Shapley values and interactions of the game of one leaf, computed in three ways that give the same numbers.

A leaf adds its value where every condition on its path holds. The conditions of one player belong together, so with D
players on the path the leaf's game is a product of D factors: x_d (do the row's conditions hold?) where player d is
present; where it is absent, b_d (do the background row's?) or the share r_d of training rows (path-dependent). On the
diagonal its multilinear extension is V(p) = Π (p x_d + (1 − p) b_d), averaged over the background; the Shapley value of
d is ∫ ∂_d V dp and the interaction of d and e ∫ ∂_d ∂_e V dp, polynomials that ⌈D/2⌉ Gauss–Legendre nodes integrate
exactly. With x_d = 0, ∂_d V = −V / (1 − p); with x_d = 1 it is (V − V at x_d = 0, over 1 − p) / p.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from assay.basics.types import Floats, Ints
from assay.engine.trees.tree_leaves import Leaves, full_pattern, unpack

MAX_TABLE_PLAYERS = 16
"""Leaves with more players are computed without a table of their 2^D patterns."""


MAX_PAIRS = 2**19
"""Sets of players × pairs of a row and a background row that are summed at a time."""


def table_is_cheapest(width: int, sets: int, order: int, rows: int, background: int | None) -> bool:
    """Whether a leaf with ``width`` players costs fewer operations with a table than row by row or pair by pair.

    A table of 2^D patterns pays where many rows, or many pairs of a row and a background row, read it.
    """
    if width > MAX_TABLE_PLAYERS:
        return False
    nodes = (width + 1) // 2
    table = nodes * 2**width * (width + order * sets) + rows * sets
    if background is None:
        return table < nodes * rows * (width + order * sets)
    return table < rows * background * (1 + order * sets * PAIR_SHARE**width)


PAIR_SHARE = 0.75
"""Probability that the row or the background row fulfils a player's conditions, where each does so half of the time."""


def values_by_table(leaves: Leaves, patterns: Ints, absent: Ints | None, value: Floats, sets: Ints) -> Floats:
    """Values of the leaves' games for sets of players, (row, leaf · set), read from a table of all 2^D patterns."""
    width, size = leaves.width, 2**leaves.width
    tables = np.zeros((len(leaves), size, len(sets)))
    histogram = None if absent is None else pattern_shares(absent[:, 0], size)
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
    index = patterns[:, 0].T.astype(np.intp) + np.arange(len(leaves)) * size
    return tables.reshape(-1, len(sets)).take(index, axis=0).reshape(len(index), -1)


def pattern_shares(absent: Ints, size: int) -> Floats:
    """Share of the background rows with each pattern, (leaf, pattern)."""
    flat = absent.astype(np.int64) + np.arange(len(absent))[:, None] * size
    counts = np.bincount(flat.ravel(), minlength=len(absent) * size)
    return np.asarray(counts.reshape(len(absent), size) / absent.shape[1])


@cache
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


def values_by_cover(patterns: Ints, ratio: Floats, value: Floats, sets: Ints) -> Floats:
    """Path-dependent values without a table: (row, leaf · set), summed over the quadrature nodes p, for any D.

    ∂_d V = V · u_d with u_d = −1 / (1 − p) where x_d = 0, and (1 − r_d) / (p + (1 − p) r_d) where x_d = 1.
    """
    leaves, width = ratio.shape
    holds = unpack(patterns, width)  # (leaf, D, row)
    found = np.zeros((leaves, len(sets), patterns.shape[2]))
    for p, weight in gauss_nodes(width):
        present = p + (1 - p) * ratio
        factors = np.where(holds, present[:, :, None], ((1 - p) * ratio)[:, :, None])
        slopes = np.where(holds, ((1 - ratio) / present)[:, :, None], -1 / (1 - p))
        product = (weight * value[:, None] * factors.prod(axis=1))[:, None]
        for players in sets.T:
            product = product * slopes[:, players]
        found += product
    return np.moveaxis(found, 2, 0).reshape(patterns.shape[2], -1)


def values_by_pair(patterns: Ints, absent: Ints, value: Floats, sets: Ints, width: int) -> Floats:
    """Values against a background without a table: (row, leaf · set), summed over pairs of a row and a background row.

    With a pair, only the players count whose conditions hold at one of the two: A at the row, C at the background row.
    The leaf's game is 1 where all of A and none of C are present, V(p) = p^|A| (1 − p)^|C|, if every other player's
    conditions hold at both; else the leaf is never reached. A set with t of its players in C, the others in A, has the
    value (−1)^t ∫ p^(|A| − k + t) (1 − p)^(|C| − t) dp, k = |set|: a beta function.
    """
    (leaves, _, rows), pairs, order = patterns.shape, absent.shape[2], sets.shape[1]
    reached = np.ones((leaves, rows, pairs), dtype=bool)
    for word, every in enumerate(full_pattern(width)):
        reached &= (patterns[:, word, :, None] | absent[:, word, None, :]) == every
    leaf, row, other = np.nonzero(reached)
    found = np.zeros((rows, leaves, len(sets)))
    if not len(leaf):
        return found.reshape(rows, -1)
    x, b = patterns[leaf, :, row], absent[leaf, :, other]  # (pair, word)
    ours, theirs = (np.bitwise_count(one).sum(axis=1, dtype=np.int64) for one in (x & ~b, b & ~x))
    differs, absent_only = (unpack(one.T[None], width)[0] for one in (x ^ b, b & ~x))  # (D, pair)
    weights = [value[leaf] / pairs * weight for weight in _pair_weights(ours, theirs, order)]
    first = np.flatnonzero(np.diff(leaf * rows + row, prepend=-1))  # pairs of one leaf and row are neighbours
    size = max(1, MAX_PAIRS // len(leaf))
    for start in range(0, len(sets), size):
        players = sets[start : start + size].T  # (order, set)
        matters, times = differs[players].all(axis=0), absent_only[players].sum(axis=0, dtype=np.uint8)
        chosen = np.where(matters, np.choose(times, weights), 0.0)  # (set, pair)
        found[row[first], leaf[first], start : start + size] = np.add.reduceat(chosen, first, axis=1).T
    return found.reshape(rows, -1)


def _pair_weights(ours: Ints, theirs: Ints, order: int) -> list[Floats]:
    """(−1)^t B(|A| − k + t + 1, |C| − t + 1) of each pair, for t = 0, …, k = ``order``; 0 where A or C is too small."""
    out = []
    table = _beta_table(1 + max(int(ours.max(initial=0)), int(theirs.max(initial=0))) // 32)
    for t in range(order + 1):
        first, second = ours - order + t, theirs - t
        possible = (first >= 0) & (second >= 0)
        out.append((-1.0) ** t * np.where(possible, table[np.maximum(first, 0), np.maximum(second, 0)], 0.0))
    return out


@cache
def _beta_table(size: int) -> Floats:
    """B(i + 1, j + 1) = i! j! / (i + j + 1)! for i and j up to 32 ``size`` + 2."""
    i = np.arange(32 * size + 3, dtype=np.float64)[:, None]
    j = i.T[:, 1:]
    return np.cumprod(np.concatenate([1 / (i + 1), j / (i + j + 1)], axis=1), axis=1)
