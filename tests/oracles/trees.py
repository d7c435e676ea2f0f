"""Games of trees, one coalition at a time: a row is walked down each tree, as the papers say it in words."""

from fractions import Fraction
from itertools import combinations
from math import factorial

import numpy as np

from assay.model.forests.forest import Forest


def random_forest(seed, *, columns=4, trees=3, depth=4, out=1, codes=0, missing=False):
    """Trees drawn at random: repeated columns on a way, lone leaves, categories, covers of every size."""
    generator = np.random.default_rng(seed)
    parts = {name: [] for name in ("left", "right", "column", "threshold", "missing_left", "cover", "value", "levels")}
    sets, roots = [], []

    def grow(level, cover):
        node = len(parts["left"])
        split = level < depth and cover > 1 and generator.random() < (1.0 if level == 0 else 0.8)
        for name in parts:
            parts[name].append(0)
        column = int(generator.integers(columns)) if split else -1
        coded = split and column < codes
        parts["column"][node], parts["cover"][node] = column, cover
        parts["threshold"][node] = generator.normal() if split and not coded else 0.0
        parts["missing_left"][node] = bool(generator.random() < 0.5) if split else False
        parts["value"][node] = np.zeros(out) if split else generator.normal(size=out)
        parts["levels"][node] = len(sets) if coded else -1
        if coded:
            sets.append(generator.random(3) < 0.5)
        parts["left"][node] = parts["right"][node] = -1
        if split:
            share = float(generator.integers(1, int(cover))) if cover >= 2 else 0.5
            parts["left"][node] = grow(level + 1, share)
            parts["right"][node] = grow(level + 1, cover - share)
        return node

    for _ in range(trees):
        roots.append(grow(0, 64.0))
    arrays = {name: np.array(held) for name, held in parts.items()}
    return Forest(
        roots=np.array(roots),
        base=generator.normal(size=out),
        gives="values",
        matrix=lambda rows: np.asarray(rows.x, dtype=np.float64),
        origin=np.arange(columns),
        sets=np.array(sets) if sets else np.zeros((0, 1), dtype=bool),
        **arrays,
    )


def random_rows(seed, count, *, columns=4, codes=0, missing=False):
    """Rows for such a forest."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(count, columns))
    rows[:, :codes] = generator.integers(0, 4, (count, codes))  # one code more than the forest knows
    if missing:
        rows[generator.random(rows.shape) < 0.2] = np.nan
    return rows


def goes_left(forest, node, x):
    """The side a row takes at a node."""
    here = x[forest.column[node]]
    if forest.levels[node] >= 0:
        known = forest.sets[forest.levels[node]]
        return bool(known[int(here)]) if 0 <= here < len(known) else bool(forest.missing_left[node])
    return bool(forest.missing_left[node]) if np.isnan(here) else bool(here <= forest.threshold[node])


def by_cover(forest, node, x, kept):
    """What a tree says of a row whose other columns are unknown: both ways, weighted by the training rows."""
    if forest.column[node] < 0:
        return forest.value[node]
    left, right = forest.left[node], forest.right[node]
    if forest.column[node] in kept:
        return by_cover(forest, left if goes_left(forest, node, x) else right, x, kept)
    one, two = (by_cover(forest, side, x, kept) for side in (left, right))
    share = forest.cover[left] / forest.cover[node] if forest.cover[node] else 0.5
    return share * one + (1 - share) * two


def worth(forest, x, kept, background=None):
    """v(S) (out,) with the columns ``kept`` present."""
    if background is None:
        return forest.base + sum(by_cover(forest, root, x, kept) for root in forest.roots)
    everything = range(len(x))
    told = []
    for other in background:
        mixed = np.array([x[c] if c in kept else other[c] for c in everything])
        told.append(sum(by_cover(forest, root, mixed, everything) for root in forest.roots))
    return forest.base + np.mean(told, axis=0)


def table(forest, x, groups, background=None):
    """v (out,) of every coalition of the groups of columns."""
    players = range(len(groups))
    coalitions = [frozenset(s) for size in range(len(groups) + 1) for s in combinations(players, size)]
    return {s: worth(forest, x, {c for g in s for c in groups[g]}, background) for s in coalitions}


def shapley(v, players):
    """φ (player, out) by the definition."""
    n = players
    return np.array([
        sum(
            factorial(len(s)) * factorial(n - len(s) - 1) / factorial(n) * (v[s | {i}] - v[s])
            for s in v if i not in s
        )
        for i in range(n)
    ])  # fmt: skip


def interaction(v, players, i, j):
    """The Shapley interaction index of two players by the definition."""
    n = players
    return sum(
        factorial(len(s)) * factorial(n - len(s) - 2) / factorial(n - 1)
        * (v[s | {i, j}] - v[s | {i}] - v[s | {j}] + v[s])
        for s in v if not s & {i, j}
    )  # fmt: skip


def chain(seed, depth, *, values="last"):
    """One tree that asks for another column at every step, with a leaf on each side; covers in sixteenths.

    With ``values="last"`` only the leaf at the end of the path has a value.
    """
    generator = np.random.default_rng(seed)
    count = 2 * depth + 1
    inner = np.arange(count) < depth
    node = np.arange(count)
    cover, rest = np.zeros(count), 1.0
    for place in range(depth):
        cover[place] = rest
        share = generator.integers(1, 16) / 16
        cover[depth + 1 + place], rest = rest * (1 - share), rest * share
    cover[depth] = rest
    value = generator.normal(size=(count, 1)) * ~inner[:, None]
    if values == "last":
        value[node != depth] = 0.0
    return Forest(
        roots=np.array([0]),
        left=np.where(inner, node + 1, -1),
        right=np.where(inner, depth + 1 + node, -1),
        column=np.where(inner, node, -1),
        threshold=np.zeros(count),
        missing_left=np.zeros(count, dtype=bool),
        cover=cover,
        value=value,
        base=np.zeros(1),
        gives="values",
        matrix=lambda rows: np.asarray(rows.x, dtype=np.float64),
        origin=np.arange(depth),
        levels=np.full(count, -1),
        sets=np.zeros((0, 1), dtype=bool),
    )


def leaf_shapley(holds, share, value):
    """φ (player,) of one leaf in rational numbers, from whether each player's conditions hold and its share of rows.

    Σ_S |S|! (D − |S| − 1)! / D! Π_{S} x_e Π_{not S} r_e (x_d − r_d) value, by the coefficients of Π (z x_e + r_e).
    """
    x, r = [Fraction(int(one)) for one in holds], [Fraction(float(one)) for one in share]
    everyone = _product(x, r)
    found = [
        (x[d] - r[d]) * _by_size(_without(everyone, x[d], r[d]), len(x)) if x[d] != r[d] else 0 for d in range(len(x))
    ]
    return np.array([float(Fraction(float(value)) * one) for one in found])


def leaf_interaction(holds, share, value, pair):
    """The Shapley interaction index of two players of one leaf in rational numbers."""
    x, r = [Fraction(int(one)) for one in holds], [Fraction(float(one)) for one in share]
    (d, e), rest = pair, _product(x, r)
    if x[d] == r[d] or x[e] == r[e]:
        return 0.0
    rest = _without(_without(rest, x[d], r[d]), x[e], r[e])
    return float(Fraction(float(value)) * (x[d] - r[d]) * (x[e] - r[e]) * _by_size(rest, len(x) - 1))


def _product(x, r):
    """Coefficients of Π (z x_e + r_e), lowest power first."""
    out = [Fraction(1)]
    for own, share in zip(x, r):
        shifted = [Fraction(0), *(c * own for c in out)]
        out = [a + b for a, b in zip([*(c * share for c in out), Fraction(0)], shifted)]
    return out


def _without(coefficients, own, share):
    """The product without the factor (z own + share)."""
    if not own:
        return [c / share for c in coefficients[:-1]]
    out = [Fraction(0)]
    for c in reversed(coefficients[1:]):  # from the highest power down
        out.insert(0, (c - share * out[0]) / own)
    return out[:-1]


def _by_size(coefficients, players):
    """Σ_k c_k k! (players − 1 − k)! / players!."""
    return sum(
        c * Fraction(factorial(k) * factorial(players - 1 - k), factorial(players)) for k, c in enumerate(coefficients)
    )
