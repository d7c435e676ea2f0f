# SPDX-License-Identifier: Apache-2.0
"""Perturbation curves: the target as features are removed in the explanation's order; ordered scores share them."""

from __future__ import annotations

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, PerRow
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.coalitions.masks import present_parts
from assay.nouns.results.result import Estimate, Explanation


def removal_ranks(explanation: Explanation, case: Case) -> Ints:
    """Rank (row, part) of each feature by attribution, 0 the highest; ties are broken by feature order.

    Features that a row lacks come last.
    """
    values = np.where(present_parts(case), explanation.values, -np.inf)
    return np.argsort(-values, axis=1, kind="stable").argsort(axis=1)


def removal_counts(parts: int, steps: int) -> Ints:
    """Number of features removed at each point of a curve with ``steps`` removals (0: one feature at a time)."""
    if steps < 0:
        raise InputError(f"steps={steps}; needed is 0 (one feature at a time) or more.")
    count = parts if steps == 0 else min(steps, parts)
    return np.unique(np.round(np.linspace(0, parts, count + 1)).astype(np.int64))


def perturbation_curve(
    explanation: Explanation, case: Case, remove: Removal, steps: int = 0, *, insert: bool = False, lowest: bool = False
) -> tuple[Floats, Floats]:
    """Share of the row's features removed, and the target without them, both (row, point).

    The highest attribution is removed first (``lowest``: last). ``insert`` gives the insertion curve: the share
    inserted, starting with all features removed. Evaluations are cached in the game, so further scores of the curve
    need none. A row with fewer features than others repeats its last point, which adds no area. NaN where values are
    NaN.
    """
    available = present_parts(case).sum(axis=1)
    curves = [removal_counts(int(parts), steps) for parts in available]
    points = max(map(len, curves))
    counts = np.stack([np.pad(curve, (0, points - len(curve)), mode="edge") for curve in curves])
    return counts / np.maximum(available, 1)[:, None], _evaluate(explanation, case, remove, counts, insert, lowest)


def with_curve(values: PerRow, share: Floats, value: Floats, *, insert: bool = False) -> Estimate:
    """A score with the perturbation curve that it summarises in ``extra``: share and target, both (row, point).

    They are named "removed" and "curve", for an insertion curve "inserted" and "insertion curve".
    """
    names = ("inserted", "insertion curve") if insert else ("removed", "curve")
    return Estimate(values, extra=dict(zip(names, (share, value))))


def perturbation_points(
    explanation: Explanation, case: Case, remove: Removal, shares: tuple[float, ...], *, insert: bool = False
) -> Floats:
    """The target (row, share) without the ⌈share · n⌉ highest features, or (``insert``) with these features only.

    These are points of the curve with one feature per step. NaN where values are NaN.
    """
    if not len(shares) or not all(0 < share <= 1 for share in shares):
        raise InputError(f"shares={shares}; needed is at least one fraction of the features, above 0 and at most 1.")
    available = present_parts(case).sum(axis=1)
    counts = np.ceil(np.asarray(shares) * available[:, None] - 1e-9).astype(np.int64)
    return _evaluate(explanation, case, remove, counts, insert, lowest=False)


def perturbation_curve_start(
    explanation: Explanation, case: Case, remove: Removal, limit: int
) -> tuple[Floats, Floats]:
    """The first ``limit`` removals of the perturbation curve with one feature per step, highest attribution first.

    Share of the row's features removed, and the target without them, both (row, point). A row with fewer features
    repeats its last point.
    """
    counts = first_removal_counts(case, limit)
    available = present_parts(case).sum(axis=1)
    values = _evaluate(explanation, case, remove, counts, insert=False, lowest=False)
    return counts / np.maximum(available, 1)[:, None], values


def first_removal_counts(case: Case, limit: int) -> Ints:
    """Number of features removed (row, point) at the first ``limit`` removals, at most the row's number of features."""
    if limit < 1:
        raise InputError(f"regions={limit}; at least 1 is needed.")
    available = present_parts(case).sum(axis=1)
    return np.minimum(np.arange(min(limit, int(available.max())) + 1), available[:, None])


def mean_of_points(removed: Floats, value: Floats) -> PerRow:
    """Mean (row,) of a curve (row, point) over its points, including no and all features removed."""
    own = np.diff(removed, axis=1, prepend=-1.0) > 0  # a row with fewer features repeats its last point
    return np.asarray(np.where(own, value, 0.0).sum(axis=1) / own.sum(axis=1))


def _evaluate(
    explanation: Explanation, case: Case, remove: Removal, counts: Ints, insert: bool, lowest: bool
) -> Floats:
    """The target (row, point) after ``counts`` (row, point) features are removed or inserted; NaN if a value is NaN."""
    rank, available = removal_ranks(explanation, case), present_parts(case)
    total = available.sum(axis=1, keepdims=True)
    if lowest:
        rank = np.where(available, total - 1 - rank, rank)
    first = rank[:, None, :] < counts[:, :, None]
    keep = first | ~available[:, None, :] if insert else ~first
    undefined = (np.isnan(explanation.values) & available).any(axis=1, keepdims=True) | (total == 0)
    return np.where(undefined, np.nan, case.game(remove).paths(keep))
