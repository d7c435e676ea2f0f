# SPDX-License-Identifier: Apache-2.0
"""Distances between two samples of one column, and how far each may be from the distance of the distributions.

All bounds hold for every pair of distributions and every number of rows.
"""

import numpy as np
from scipy.optimize import brentq

from assay.basics.types import Floats, Ints

_LEAST = float(np.sqrt(np.log(2) / 2))
"""Where the bound 2·exp(−2t²) of Dvoretzky, Kiefer and Wolfowitz reaches 1."""


def kolmogorov_distance(values: Floats, others: Floats) -> float:
    """Largest difference between the two empirical distribution functions, 0 … 1 (Kolmogorov and Smirnov)."""
    points = np.concatenate([values, others])
    below, others_below = (np.searchsorted(np.sort(one), points, "right") / len(one) for one in (values, others))
    return float(np.abs(below - others_below).max())


def total_variation(shares: Floats, others: Floats) -> float:
    """½ Σ |share − other share| over levels, 0 … 1: the largest difference of probability of any set of levels."""
    return float(np.abs(shares - others).sum() / 2)


def kolmogorov_excess(rows: int, other_rows: int, tail: float) -> float:
    """By how much the observed Kolmogorov distance exceeds the true one with a probability of at most ``tail``.

    The excess is at most the sum of both samples' deviations, with P(√rows · deviation > t) ≤ 2·exp(−2t²) for each
    (Massart 1990). The sum's tail is integrated for two independent variables with exactly this law.
    """
    grid = np.linspace(_LEAST, 7.0, 2001)
    density = 8 * grid * np.exp(-2 * grid**2)

    def excess(limit: float) -> float:
        rest = np.maximum(np.sqrt(rows) * (limit - grid / np.sqrt(other_rows)), _LEAST)
        return float(np.trapezoid(density * 2 * np.exp(-2 * rest**2), grid)) - tail

    return min(1.0, float(brentq(excess, 0.0, 8 / np.sqrt(min(rows, other_rows)))))


def total_variation_excess(levels: int, rows: int, other_rows: int, tail: float) -> float:
    """By how much the observed total variation exceeds the true one with a probability of at most ``tail``.

    Hoeffding's bound for each of the 2^levels − 2 proper sets of levels, as Weissman et al. (2003) use it for one
    sample. 0 for a single level.
    """
    if levels < 2:
        return 0.0
    sets = levels * np.log(2) + np.log1p(-(2.0 ** (1 - levels)))
    return min(1.0, float(np.sqrt((sets - np.log(tail)) * (1 / rows + 1 / other_rows) / 2)))


def distance_shortfall(rows: int, other_rows: int, tail: float) -> float:
    """By how much the true distance (either) exceeds the observed one with a probability of at most ``tail``.

    The expected observed distance is at least the true one, and one row changes it by 1/rows (McDiarmid 1989).
    """
    return min(1.0, float(np.sqrt(-np.log(tail) * (1 / rows + 1 / other_rows) / 2)))


def distance_limits(distances: Floats, levels: Ints, rows: Ints, tail: float) -> tuple[Floats, Floats]:
    """Lower and upper limits (column,) of the true distances, each wrong with a probability of at most ``tail``.

    ``distances`` (column,) are Kolmogorov's where ``levels`` (column,) is 0, else total variations of that number of
    levels, between samples of ``rows`` (2,).
    """
    first, second = int(rows[0]), int(rows[1])
    numbers = kolmogorov_excess(first, second, tail)
    excess = [total_variation_excess(int(count), first, second, tail) if count else numbers for count in levels]
    high = np.minimum(distances + distance_shortfall(first, second, tail), 1.0)
    return np.maximum(distances - np.array(excess), 0.0), np.asarray(high)
