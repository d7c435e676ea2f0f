# SPDX-License-Identifier: Apache-2.0
"""Limits for the largest difference between groups, for a sum of group means, and for differences of paired rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.types import Floats, Ints

Limits = Callable[..., Any]
"""A function of values and a level: the interval (``low``, ``high``) of their mean."""


def compared_pairs(part: Any) -> Ints:
    """The pairs (2, pair) of groups that are compared: those with the same number in ``part`` (group,)."""
    return np.array([(j, i) for i, j in combinations(range(len(part)), 2) if part[i] == part[j]], dtype=int).T


def largest_gap_limits(centres: Floats, limits: Sequence[Any], pairs: Ints, expected: Any = 0.0) -> tuple[float, float]:
    """Limits for the largest |difference| of two groups' means, from the estimate and the interval of each.

    Each pair's limits are combined as Newcombe (1998) does for rates, and Zou and Donner (2008) for any mean. If all of
    them hold, the largest difference lies between their largest limits. ``expected`` (group,) is taken off each mean.
    """
    below, above = _distances(centres, limits)
    one, two = pairs
    known = np.asarray(centres, dtype=np.float64) - expected
    found = known[one] - known[two]
    low, high = found - np.hypot(below[one], above[two]), found + np.hypot(above[one], below[two])
    return _largest_size(low, high)


def gap(limits: Limits, level: float, values: Floats, group: Ints) -> tuple[float, float]:
    """``largest_gap_limits`` for the mean of ``values`` (row,) by ``group`` (row,), Bonferroni-corrected for pairs."""
    pairs = compared_pairs(np.zeros(len(np.unique(group))))
    own = _by_group(values, group)
    found = [limits(one, level=1 - (1 - level) / pairs.shape[1]) for one in own]
    return largest_gap_limits(np.array([one.mean() for one in own]), found, pairs)


def _by_group(values: Floats, group: Ints) -> list[Floats]:
    return [np.asarray(values, dtype=np.float64)[np.asarray(group) == one] for one in np.unique(group)]


def _distances(centres: Floats, limits: Sequence[Any]) -> tuple[Floats, Floats]:
    """How far each interval reaches below and above its estimate."""
    return (
        np.array([centre - one.low for centre, one in zip(centres, limits)]),
        np.array([one.high - centre for centre, one in zip(centres, limits)]),
    )


def _largest_size(low: Floats, high: Floats) -> tuple[float, float]:
    """Limits for the largest |number|, from the limits of each number."""
    return float(np.maximum(np.maximum(low, -high), 0.0).max()), float(np.maximum(high, -low).max())


def paired_rate_limits(gained: Any, lost: Any, rows: Any, level: float) -> tuple[Any, Any]:
    """Limits for a difference of paired rates, (gained − lost) / rows (Agresti and Min 2005), for arrays of counts."""
    gained, lost, total = np.asarray(gained) + 0.5, np.asarray(lost) + 0.5, rows + 2
    centre = (gained - lost) / total
    half = scipy_stats.norm.ppf((1 + level) / 2) * np.sqrt(gained + lost - (gained - lost) ** 2 / total) / total
    return centre - half, centre + half


def paired_total(level: float, gained: Ints, lost: Ints, rows: Ints, weight: float) -> tuple[float, float]:
    """Limits for ``weight`` × the sum over groups of the differences of paired rates (group,), independent of another.

    Distances of the groups' limits from their estimates add in squares (Zou and Donner 2008).
    """
    low, high = paired_rate_limits(gained, lost, np.asarray(rows), level)
    own = (np.asarray(gained) - lost) / rows
    centre = float(own.sum())
    ends = centre - float(np.linalg.norm(own - low)), centre + float(np.linalg.norm(high - own))
    return weight * ends[0], weight * ends[1]


def largest_paired(level: float, gained: Ints, lost: Ints, rows: int) -> tuple[float, float]:
    """Limits for the largest |difference| of several paired rates (rate,), Bonferroni-corrected."""
    return _largest_size(*paired_rate_limits(gained, lost, int(rows), 1 - (1 - level) / len(gained)))


def areas_of_groups(values: Floats, group: Any, names: Sequence[str]) -> tuple[Floats, Ints, Ints]:
    """For each named group against the other rows the area under the ROC curve of ``values`` (row,), and both counts.

    The area is the probability that a value of the group is the larger one, ties counted half; ∞ equals ∞.
    """
    ranks = scipy_stats.rankdata(values)
    areas, counts = [], []
    for name in names:
        inside = np.asarray(group) == name
        size, other = int(inside.sum()), int((~inside).sum())
        areas.append((ranks[inside].sum() - size * (size + 1) / 2) / (size * other))
        counts.append((size, other))
    sizes = np.array(counts, dtype=np.int64)
    return np.array(areas), sizes[:, 0], sizes[:, 1]


def largest_area(interval: Any, level: float, areas: Floats, counts: Ints, others: Ints) -> tuple[float, float]:
    """Limits for the largest of several areas under a ROC curve, from ``interval`` of each, Bonferroni-corrected."""
    own = 1 - (1 - level) / len(areas)
    found = [interval(float(a), int(n), int(m), own) for a, n, m in zip(areas, counts, others)]
    return max(one.low for one in found), max(one.high for one in found)
