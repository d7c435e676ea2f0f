"""Ordered removal scores as the papers write them: one row, one step, one element at a time."""

from collections.abc import Callable
from math import ceil
from typing import Any


def filled(x: Any, kept: set[int], fill: float) -> Any:
    """The row with every element outside ``kept`` replaced."""
    other = x.copy()
    for i in range(len(x)):
        if i not in kept:
            other[i] = fill
    return other


def ranking(values: Any) -> list[int]:
    """Parts from the highest value to the lowest, ties in part order."""
    return sorted(range(len(values)), key=lambda i: (-values[i], i))


def deletion(f: Callable[[Any], float], x: Any, values: Any, fill: float) -> float:
    """Trapezium rule over the share removed."""
    kept, curve = set(range(len(x))), []
    curve.append(f(filled(x, kept, fill)))
    for part in ranking(values):
        kept.remove(part)
        curve.append(f(filled(x, kept, fill)))
    return sum((curve[k] + curve[k + 1]) / 2 for k in range(len(x))) / len(x)


def insertion(f: Callable[[Any], float], x: Any, values: Any, fill: float) -> float:
    """Trapezium rule over the share put back."""
    kept: set[int] = set()
    curve = [f(filled(x, kept, fill))]
    for part in ranking(values):
        kept.add(part)
        curve.append(f(filled(x, kept, fill)))
    return sum((curve[k] + curve[k + 1]) / 2 for k in range(len(x))) / len(x)


def comprehensiveness(f: Callable[[Any], float], x: Any, values: Any, fill: float, shares: tuple[float, ...]) -> float:
    """Mean fall without the top parts (DeYoung et al. 2020)."""
    falls = []
    for share in shares:
        top = set(ranking(values)[: ceil(share * len(x))])
        falls.append(f(x) - f(filled(x, set(range(len(x))) - top, fill)))
    return sum(falls) / len(falls)


def sufficiency(f: Callable[[Any], float], x: Any, values: Any, fill: float, shares: tuple[float, ...]) -> float:
    """Mean fall with the top parts alone (DeYoung et al. 2020)."""
    falls = []
    for share in shares:
        top = set(ranking(values)[: ceil(share * len(x))])
        falls.append(f(x) - f(filled(x, top, fill)))
    return sum(falls) / len(falls)
