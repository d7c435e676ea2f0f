"""Every model of a small class, one after another, on the original rows."""

from __future__ import annotations

from itertools import product

import numpy as np


def random_binary(seed: int, most_columns: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """A small binary matrix and labels of both classes that depend on it."""
    draws = np.random.default_rng(seed)
    width, rows = int(draws.integers(2, most_columns + 1)), int(draws.integers(20, 90))
    x = (draws.random((rows, width)) < draws.uniform(0.2, 0.8, width)).astype(int)
    score = x @ draws.integers(-2, 3, width) + draws.integers(-1, 2)
    y = (draws.random(rows) < 1 / (1 + np.exp(-score))).astype(int)
    y[:2] = (0, 1)
    return x, y


def best_list_objective(
    masks: np.ndarray, y: np.ndarray, penalty: float, longest: int, prefix: tuple[int, ...] = (), shortest: int = 0
) -> float:
    """The lowest misclassified share + penalty · rules of all ordered lists of these antecedents (antecedent, row).

    Lists begin with the rules ``prefix``, which at least ``shortest`` and at most ``longest`` follow.
    """
    best = np.inf

    def follow(left: np.ndarray, errors: int, rules: int, more: int) -> None:
        nonlocal best
        ones = int(y[left].sum())
        if more >= shortest:
            best = min(best, (errors + min(ones, int(left.sum()) - ones)) / len(y) + penalty * rules)
        if more == longest:
            return
        for mask in masks:
            caught = left & mask
            if caught.any():
                follow(left & ~mask, errors + wrong(caught), rules + 1, more + 1)

    def wrong(caught: np.ndarray) -> int:
        found = int(y[caught].sum())
        return min(found, int(caught.sum()) - found)

    left, errors = np.ones(len(y), dtype=bool), 0
    for one in prefix:
        errors += wrong(left & masks[one])
        left &= ~masks[one]
    follow(left, errors, len(prefix), 0)
    return best


def best_score_objective(
    x: np.ndarray, y: np.ndarray, penalty: float, points: int, items: int, multipliers: tuple[float, ...]
) -> float:
    """The lowest mean log loss + penalty · items of all whole-number points, with intercepts from −40 to 40."""
    every = np.array(list(product(range(-points, points + 1), repeat=x.shape[1])), dtype=float)
    every = every[(every != 0).sum(axis=1) <= items]
    rows, counts = np.unique(np.column_stack([x, y]), axis=0, return_counts=True)
    scores = (rows[:, :-1] @ every.T)[:, :, None] + np.arange(-40.0, 41.0)
    sign = np.where(rows[:, -1] == 1, -1.0, 1.0)[:, None, None]
    cost = penalty * (every != 0).sum(axis=1)[:, None]
    return float(
        min((np.tensordot(counts / len(y), np.logaddexp(0, sign * scores / m), 1) + cost).min() for m in multipliers)
    )
