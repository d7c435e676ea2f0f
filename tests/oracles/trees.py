"""Games of trees, one coalition at a time: a row is walked down each tree, as the papers say it in words."""

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
