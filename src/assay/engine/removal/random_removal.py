# SPDX-License-Identifier: Apache-2.0
"""Coalitions chosen independently of any explanation; all scores, rows and methods of a case share them."""

from __future__ import annotations

from itertools import combinations
from math import ceil, comb

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import pearson
from assay.basics.types import Floats, Masks, PerRow
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.coalitions.estimator import Design, bernoulli
from assay.nouns.results.result import Explanation


def bernoulli_coalitions(case: Case, draws: int) -> Design:
    """Random coalitions that keep each feature with probability ½: those of RISE, in the same order.

    All 2^n coalitions with equal weight if ``draws`` is at least 2^n.
    """
    if draws < 2:
        raise InputError(f"draws={draws}; at least 2 are needed.")
    flips = bernoulli(0.5)
    return flips.design(len(case.features), draws, case.seed.child("design", flips.name))


def fixed_size_coalitions(case: Case, size: float, draws: int) -> Design:
    """Coalitions without ⌈size · n⌉ features: all of them if there are at most ``draws``, else independent draws."""
    if not 0 < size < 1:
        raise InputError(f"size={size}; needed is the share of features to remove, above 0 and below 1.")
    if draws < 3:
        raise InputError(f"draws={draws}; at least 3 are needed.")
    parts = len(case.features)
    count = ceil(size * parts - 1e-9)
    exhaustive = comb(parts, count) <= draws
    if exhaustive:
        removed = np.array(list(combinations(range(parts), count)))
    else:
        generator = case.seed.child("design", f"without {count}").generator()
        removed = np.argsort(generator.random((draws, parts)), axis=1)[:, :count]
    keep = np.ones((len(removed), parts), dtype=bool)
    np.put_along_axis(keep, removed, False, axis=1)
    return Design(keep, np.full(len(keep), 1.0 / len(keep)), population=np.ones(1) if exhaustive else np.empty(0))


def leave_one_out_coalitions(case: Case) -> Design:
    """Coalitions without one feature each, in feature order: those of occlusion."""
    return Design(~np.eye(len(case.features), dtype=bool))


def is_exhaustive(design: Design) -> bool:
    """Whether the design has all coalitions, so that the estimate has no sampling error."""
    return len(design.population) > 0


def removal_correlation(explanation: Explanation, case: Case, remove: Removal, design: Design) -> tuple[PerRow, PerRow]:
    """Pearson correlation (row,) of the removed features' summed attribution with the drop in the target; its error.

    The standard error is the jackknife's, 0 where the design is exhaustive. Both are NaN where the sums or the drops
    are constant.
    """
    summed = explanation.values @ (~design.masks).T
    value = case.game(remove).table(design.masks)
    drop = case.output[:, None] - value
    flat = is_constant(summed, np.abs(explanation.values).sum(axis=1)) | is_constant(drop, np.abs(value).max(axis=1))
    stderr = 0.0 if is_exhaustive(design) else _jackknife(summed, drop)
    return np.where(flat, np.nan, pearson(summed, drop)), np.where(flat, np.nan, stderr)


def is_constant(values: Floats, size: Floats) -> Masks:
    """Whether a row's values differ by at most 1e-12 of ``size`` (row,), which is rounding."""
    return np.asarray(np.ptp(values, axis=1) <= 1e-12 * size)


def _jackknife(a: Floats, b: Floats) -> PerRow:
    """Standard error (row,) of the correlation from leaving out one draw at a time."""
    draws = a.shape[1]
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    factor = draws / (draws - 1)  # leaving a draw out changes the mean too
    both = (a * b).sum(axis=1, keepdims=True) - factor * a * b
    left = (a * a).sum(axis=1, keepdims=True) - factor * a * a
    right = (b * b).sum(axis=1, keepdims=True) - factor * b * b
    scale = np.sqrt(np.maximum(left, 0.0) * np.maximum(right, 0.0))
    without = np.divide(both, scale, out=np.full(a.shape, np.nan), where=scale > 0)
    return np.asarray(np.sqrt((draws - 1) * without.var(axis=1)))
