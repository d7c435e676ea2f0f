"""Interaction indices of cooperative games, written as slowly and literally as their definitions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import combinations, permutations, product
from math import comb, factorial
from typing import Any

import numpy as np

Value = Callable[[frozenset[int]], float]
Set = frozenset[int]


def within(members: Set) -> list[Set]:
    return [frozenset(some) for size in range(len(members) + 1) for some in combinations(sorted(members), size)]


def derivative(v: Value, s: Set, t: Set) -> float:
    """δ_S v(T) = Σ_{L⊆S} (−1)^(s−l) v(T ∪ L)."""
    return sum((-1) ** (len(s) - len(some)) * v(t | some) for some in within(s))


def small(parts: int, order: int) -> list[Set]:
    return [frozenset(some) for size in range(1, order + 1) for some in combinations(range(parts), size)]


def over_contexts(v: Value, parts: int, s: Set, weight: Callable[[int], float]) -> float:
    others = frozenset(range(parts)) - s
    return sum(weight(len(t)) * derivative(v, s, t) for t in within(others))


def sii(v: Value, parts: int, order: int) -> dict[Set, float]:
    """Grabisch and Roubens 1999: Σ_T (n−t−s)! t! / (n−s+1)! δ_S v(T)."""
    n = parts
    return {
        s: over_contexts(v, n, s, lambda t, s=s: factorial(n - t - len(s)) * factorial(t) / factorial(n - len(s) + 1))
        for s in small(n, order)
    }


def banzhaf(v: Value, parts: int, order: int) -> dict[Set, float]:
    """Grabisch and Roubens 1999: Σ_T δ_S v(T) / 2^(n−s)."""
    return {s: over_contexts(v, parts, s, lambda t, s=s: 0.5 ** (parts - len(s))) for s in small(parts, order)}


def chaining(v: Value, parts: int, order: int) -> dict[Set, float]:
    """Marichal and Roubens 1999: s Σ_T (n−s−t)! (s+t−1)! / n! δ_S v(T)."""
    n = parts
    return {
        s: over_contexts(
            v, n, s, lambda t, s=s: len(s) * factorial(n - len(s) - t) * factorial(len(s) + t - 1) / factorial(n)
        )
        for s in small(n, order)
    }


def stii(v: Value, parts: int, order: int) -> dict[Set, float]:
    """Sundararajan, Dhamdhere and Agarwal 2020: k/n Σ_T δ_S v(T) / C(n−1, t) for s = k, δ_S v(∅) for s < k."""
    return {
        s: derivative(v, s, frozenset())
        if len(s) < order
        else order / parts * over_contexts(v, parts, s, lambda t: 1 / comb(parts - 1, t))
        for s in small(parts, order)
    }


def stii_by_orders(v: Value, parts: int, order: int) -> dict[Set, float]:
    """The same as a mean over all orders of joining, for s = k: δ_S v(those before the first of S)."""
    found = dict.fromkeys(small(parts, order), 0.0)
    for way in permutations(range(parts)):
        for s in found:
            before = frozenset(way[: min(way.index(i) for i in s)]) if len(s) == order else frozenset()
            found[s] += derivative(v, s, before) / factorial(parts)
    return found


def k_sii(v: Value, parts: int, order: int) -> dict[Set, float]:
    """Bordt and von Luxburg 2023: Φ^k(S) = Φ^(k−1)(S) + B_(k−s) Σ_K SII(S ∪ K) over |K| = k − s."""
    known, bernoulli = sii(v, parts, order), {1: -1 / 2, 2: 1 / 6, 3: 0.0, 4: -1 / 30, 5: 0.0, 6: 1 / 42}
    found: dict[Set, float] = {}
    for k in range(1, order + 1):
        for s in small(parts, k):
            if len(s) == k:
                found[s] = known[s]
            else:
                others = combinations(sorted(frozenset(range(parts)) - s), k - len(s))
                found[s] += bernoulli[k - len(s)] * sum(known[s | frozenset(more)] for more in others)
    return found


def moebius(v: Value, parts: int, order: int) -> dict[Set, float]:
    return {s: derivative(v, s, frozenset()) for s in small(parts, order)}


def fitted(v: Value, parts: int, order: int, weight: Callable[[int], float], fixed: bool) -> dict[Set, float]:
    """The weighted least-squares polynomial Σ_S I(S) Π_{i∈S} x_i, through v(∅) and v(N) if ``fixed``."""
    sets = [frozenset[int](), *small(parts, order)]
    every = within(frozenset(range(parts)))
    x = np.array([[float(s <= t) for s in sets] for t in every])
    y = np.array([v(t) for t in every])
    ends = [i for i, t in enumerate(every) if fixed and len(t) in (0, parts)]
    w = np.array([0.0 if i in ends else weight(len(t)) for i, t in enumerate(every)])
    system = np.block([[x.T * w @ x, x[ends].T], [x[ends], np.zeros((len(ends), len(ends)))]])
    solution = np.linalg.lstsq(system, np.concatenate([x.T * w @ y, y[ends]]), rcond=None)[0]
    return dict(zip(sets[1:], solution[1 : len(sets)].tolist()))


def fsii(v: Value, parts: int, order: int) -> dict[Set, float]:
    """Tsai, Yeh and Ravikumar 2023: weight (n−1) / (C(n, t) t (n−t)) for 0 < t < n, exact at ∅ and N."""
    return fitted(v, parts, order, lambda t: (parts - 1) / (comb(parts, t) * t * (parts - t)), fixed=True)


def fbii(v: Value, parts: int, order: int) -> dict[Set, float]:
    """Tsai, Yeh and Ravikumar 2023: all coalitions alike (Hammer and Holzman 1992)."""
    return fitted(v, parts, order, lambda t: 1.0, fixed=False)


INDICES: dict[str, Callable[[Value, int, int], dict[Set, float]]] = {
    "sii": sii,
    "k_sii": k_sii,
    "stii": stii,
    "fsii": fsii,
    "banzhaf": banzhaf,
    "fbii": fbii,
    "chaining": chaining,
    "moebius": moebius,
}


def any_game(parts: int, seed: int) -> tuple[Any, Value]:
    """A game of independent random worths: a table (2^n,), first part = lowest bit, and the same as a function."""
    table = np.random.default_rng(seed).normal(size=2**parts)
    return table, cache(lambda s: float(table[sum(1 << i for i in s)]))


def orders_of(hierarchy: Any) -> list[tuple[int, ...]]:
    """All orders of joining in which every group's members come one right after the other."""
    if isinstance(hierarchy, int):
        return [(hierarchy,)]
    inner = [orders_of(child) for child in hierarchy]
    return [
        tuple(i for block in blocks for i in block)
        for way in permutations(range(len(inner)))
        for blocks in product(*(inner[child] for child in way))
    ]


def owen(v: Value, hierarchy: Any) -> Any:
    """Mean gain over all orders that keep the groups of every level together (Owen 1977, Winter 1989)."""
    ways = orders_of(hierarchy)
    gains = np.zeros(len(ways[0]))
    for way in ways:
        for place, i in enumerate(way):
            gains[i] += v(frozenset(way[: place + 1])) - v(frozenset(way[:place]))
    return gains / len(ways)
