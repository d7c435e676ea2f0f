"""Values of cooperative games, written as slowly and literally as their definitions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import permutations, product
from math import comb, exp, factorial, sqrt
from typing import Any

import numpy as np

Value = Callable[[frozenset[int]], float]


def value_of(case: Any, row: int = 0, at: float = 0.0) -> Value:
    """v(S) asked one coalition at a time, absent elements set to ``at``; a game object is not involved."""
    x = np.asarray(case.rows.x, dtype=float)[row]

    def v(members: frozenset[int]) -> float:
        filled = np.array([x[i] if i in members else at for i in range(len(x))])
        return float(case.value(filled[None], np.array([row]))[0])

    return v


def coalitions(parts: int) -> list[frozenset[int]]:
    return [frozenset(i for i in range(parts) if bits[i]) for bits in product((0, 1), repeat=parts)]


def shapley(v: Value, parts: int) -> Any:
    """Mean marginal contribution over all n! orders."""
    v, gains = cache(v), np.zeros(parts)
    for order in permutations(range(parts)):
        before: frozenset[int] = frozenset()
        for i in order:
            gains[i] += v(before | {i}) - v(before)
            before = before | {i}
    return gains / factorial(parts)


def banzhaf(v: Value, parts: int) -> Any:
    """Mean marginal contribution over all coalitions of the others."""
    v = cache(v)
    others = [[s for s in coalitions(parts) if i not in s] for i in range(parts)]
    return np.array([np.mean([v(s | {i}) - v(s) for s in others[i]]) for i in range(parts)])


def kernel_shap(v: Value, parts: int) -> Any:
    """Weighted least squares over all proper coalitions under Σφ = v(N) − v(∅), by its Lagrange system."""
    empty, full = v(frozenset()), v(frozenset(range(parts)))
    gram, moment = np.zeros((parts, parts)), np.zeros(parts)
    for s in coalitions(parts):
        if 0 < len(s) < parts:
            z = np.array([i in s for i in range(parts)], dtype=float)
            weight = (parts - 1) / (comb(parts, len(s)) * len(s) * (parts - len(s)))
            gram += weight * np.outer(z, z)
            moment += weight * z * (v(s) - empty)
    ones = np.ones((parts, 1))
    system = np.block([[gram, ones], [ones.T, np.zeros((1, 1))]])
    return np.linalg.solve(system, np.append(moment, full - empty))[:parts]


def rise(v: Value, parts: int, share: float) -> Any:
    """Expected v given that the part is kept, each part kept with probability ``share``."""
    mean, mass = np.zeros(parts), np.zeros(parts)
    for s in coalitions(parts):
        chance = share ** len(s) * (1 - share) ** (parts - len(s))
        for i in s:
            mean[i] += chance * v(s)
            mass[i] += chance
    return mean / mass


def lime(v: Value, parts: int, width: float, ridge: float) -> tuple[Any, float, float]:
    """Slopes, intercept and weighted R² of the local ridge regression over all masks, by its normal equations."""
    gram, moment = np.diag([0.0] + [ridge] * parts), np.zeros(parts + 1)
    seen = []
    for s in coalitions(parts):
        z = np.array([1.0] + [float(i in s) for i in range(parts)])
        cosine = len(s) / (sqrt(len(s)) * sqrt(parts)) if s else 0.0
        weight = exp(-((1 - cosine) ** 2) / width**2)
        gram += weight * np.outer(z, z)
        moment += weight * z * v(s)
        seen.append((z, weight, v(s)))
    solution = np.linalg.solve(gram, moment)
    mean = sum(w * y for _, w, y in seen) / sum(w for _, w, _ in seen)
    lost = sum(w * (y - z @ solution) ** 2 for z, w, y in seen)
    return solution[1:], float(solution[0]), float(1 - lost / sum(w * (y - mean) ** 2 for _, w, y in seen))
