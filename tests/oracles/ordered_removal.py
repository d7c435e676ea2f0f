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


def path(f: Callable[[Any], float], x: Any, values: Any, fill: float, order: list[int] | None = None) -> list[float]:
    """The target at the intact row and after each removal, highest first unless an order is given."""
    kept, curve = set(range(len(x))), [f(x)]
    for part in ranking(values) if order is None else order:
        kept.remove(part)
        curve.append(f(filled(x, kept, fill)))
    return curve


def aopc(f: Callable[[Any], float], x: Any, values: Any, fill: float, removals: int) -> float:
    """1/(L + 1) Σ_{k=0…L} f(x⁰) − f(xᵏ) (Samek et al. 2017, equation 12)."""
    curve = path(f, x, values, fill)
    return sum(curve[0] - curve[k] for k in range(removals + 1)) / (removals + 1)


def monotonicity(f: Callable[[Any], float], x: Any, values: Any, fill: float) -> float:
    """Share of additions, lowest value first, that do not lower the target (Arya et al. 2019, as a share)."""
    kept: set[int] = set()
    before, kept_up = f(filled(x, kept, fill)), 0
    for part in ranking(values)[::-1]:
        kept.add(part)
        now = f(filled(x, kept, fill))
        kept_up, before = kept_up + (now >= before), now
    return kept_up / len(x)


def imputed(picture: Any, missing: Any) -> Any:
    """Missing pixels of (height, width) from their neighbours by a sparse solve (Rong et al. 2022), no noise."""
    from scipy.sparse import lil_matrix
    from scipy.sparse.linalg import spsolve

    height, width = picture.shape
    unknown = [(i, j) for i in range(height) for j in range(width) if missing[i, j]]
    number = {place: k for k, place in enumerate(unknown)}
    matrix, right = lil_matrix((len(unknown), len(unknown))), [0.0] * len(unknown)
    for (i, j), k in number.items():
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                near = (i + down, j + across)
                if near == (i, j) or not (0 <= near[0] < height and 0 <= near[1] < width):
                    continue
                weight = 1 / 12 if down and across else 1 / 6
                matrix[k, k] += weight
                if near in number:
                    matrix[k, number[near]] -= weight
                else:
                    right[k] += weight * picture[near]
    out = picture.copy()
    solved = spsolve(matrix.tocsc(), right)
    for (i, j), k in number.items():
        out[i, j] = solved[k] if len(unknown) > 1 else float(solved[0])
    return out
