"""Localisation scores as the papers write them: one row, one place at a time."""

from itertools import combinations
from typing import Any


def mass(heat: Any, inside: Any) -> float:
    """Positive attribution inside over all positive attribution (Arras et al. 2022)."""
    total = sum(max(h, 0.0) for h in heat)
    return sum(max(h, 0.0) for h, m in zip(heat, inside) if m) / total


def rank(heat: Any, inside: Any, count: int) -> float:
    """Mean over every choice of ``count`` places that no other place exceeds, of the share inside."""
    shares = []
    for chosen in combinations(range(len(heat)), count):
        least = min(heat[i] for i in chosen)
        if all(heat[j] <= least for j in range(len(heat)) if j not in chosen):
            shares.append(sum(inside[i] for i in chosen) / count)
    return sum(shares) / len(shares)


def auc(heat: Any, inside: Any) -> float:
    """Share of pairs, one inside and one outside, in the right order; ties count half."""
    won = [float(a > b) + 0.5 * (a == b) for a, m in zip(heat, inside) if m for b, n in zip(heat, inside) if not n]
    return sum(won) / len(won)


def heat_ratio(heat: Any, inside: Any, levels: int) -> float:
    """Mean over levels of the share of the strongest attribution that lies inside."""
    ratios = []
    for level in range(levels):
        kept = -(-(levels - level) * len(heat) // levels)  # rounded up
        least = sorted(heat, reverse=True)[kept - 1]
        above = [(h, m) for h, m in zip(heat, inside) if h >= least]
        ratios.append(sum(h for h, m in above if m) / sum(h for h, _ in above))
    return sum(ratios) / levels
