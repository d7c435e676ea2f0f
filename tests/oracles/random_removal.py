"""Random removal scores as the papers write them: one row, one subset, one element at a time."""

from collections.abc import Callable, Iterable
from itertools import combinations
from math import sqrt
from typing import Any


def subsets(parts: int) -> list[tuple[int, ...]]:
    """Every subset of the parts."""
    return [s for size in range(parts + 1) for s in combinations(range(parts), size)]


def without(x: Any, gone: Iterable[int], fill: float) -> Any:
    """The row with the elements ``gone`` replaced."""
    other = x.copy()
    for i in gone:
        other[i] = fill
    return other


def pairs(f: Callable[[Any], float], x: Any, values: Any, fill: float, asked: Any) -> tuple[list[float], list[float]]:
    """Summed attribution and fall of the output, a subset each."""
    sums, falls = [], []
    for gone in asked:
        sums.append(float(sum(values[i] for i in gone)))
        falls.append(float(f(x) - f(without(x, gone, fill))))
    return sums, falls


def pearson(a: list[float], b: list[float]) -> float:
    """Product-moment correlation."""
    n = len(a)
    mean_a, mean_b = sum(a) / n, sum(b) / n
    both = sum((p - mean_a) * (q - mean_b) for p, q in zip(a, b))
    return both / sqrt(sum((p - mean_a) ** 2 for p in a) * sum((q - mean_b) ** 2 for q in b))


def jackknife(a: list[float], b: list[float]) -> float:
    """Standard error of the correlation, a draw left out at a time."""
    n = len(a)
    held_out = [pearson(a[:j] + a[j + 1 :], b[:j] + b[j + 1 :]) for j in range(n)]
    mean = sum(held_out) / n
    return sqrt((n - 1) / n * sum((r - mean) ** 2 for r in held_out))


def infidelity(f: Callable[[Any], float], x: Any, values: Any, fill: float, asked: Any, beta: float = 1.0) -> float:
    """Mean squared gap (Yeh et al. 2019)."""
    sums, falls = pairs(f, x, values, fill, asked)
    return sum((beta * s - d) ** 2 for s, d in zip(sums, falls)) / len(sums)
