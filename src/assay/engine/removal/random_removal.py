# SPDX-License-Identifier: Apache-2.0
"""Random coalitions that no explanation chooses: every score, row and method of a case asks the same ones."""

from __future__ import annotations

from itertools import combinations
from math import ceil, comb

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import pearson
from assay.basics.types import Floats, Masks, PerRow
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.coalitions.summary import Design, bernoulli
from assay.nouns.results.result import Explanation


def coin_flips(case: Case, draws: int) -> Design:
    """Coalitions that keep each part with probability ½: those of RISE, in the same order.

    All 2^n with equal weight, once ``draws`` pays for them.
    """
    if draws < 2:
        raise InputError(f"draws={draws}; at least 2 are needed.")
    flips = bernoulli(0.5)
    return flips.design(len(case.features), draws, case.seed.child("design", flips.name))


def without_share(case: Case, size: float, draws: int) -> Design:
    """Coalitions that lack ⌈size · n⌉ parts: all of them if ``draws`` pays for them, else drawn independently."""
    if not 0 < size < 1:
        raise InputError(f"size={size}; it is the share of parts taken away, above 0 and below 1.")
    if draws < 3:
        raise InputError(f"draws={draws}; at least 3 are needed.")
    parts = len(case.features)
    count = ceil(size * parts - 1e-9)
    affordable = comb(parts, count) <= draws
    if affordable:
        gone = np.array(list(combinations(range(parts), count)))
    else:
        generator = case.seed.child("design", f"without {count}").generator()
        gone = np.argsort(generator.random((draws, parts)), axis=1)[:, :count]
    keep = np.ones((len(gone), parts), dtype=bool)
    np.put_along_axis(keep, gone, False, axis=1)
    return Design(keep, np.full(len(keep), 1.0 / len(keep)), population=np.ones(1) if affordable else np.empty(0))


def alone(case: Case) -> Design:
    """Coalitions that lack one part each, in part order: those of occlusion."""
    return Design(~np.eye(len(case.features), dtype=bool))


def complete(design: Design) -> bool:
    """Whether the coalitions are all there are, so that nothing is left to chance."""
    return len(design.population) > 0


def followed(explanation: Explanation, case: Case, remove: Removal, design: Design) -> tuple[PerRow, PerRow]:
    """Correlation (row,) of the summed attribution of what a coalition lacks with the target's fall, and its error.

    The standard error is the jackknife's, 0 where the design is complete. Both are NaN where either side is constant.
    """
    summed = explanation.values @ (~design.masks).T
    value = case.game(remove).table(design.masks)
    fall = case.output[:, None] - value
    same = constant(summed, np.abs(explanation.values).sum(axis=1)) | constant(fall, np.abs(value).max(axis=1))
    stderr = 0.0 if complete(design) else _jackknife(summed, fall)
    return np.where(same, np.nan, pearson(summed, fall)), np.where(same, np.nan, stderr)


def constant(values: Floats, size: Floats) -> Masks:
    """Whether a row's values differ by no more than rounding of numbers of that size."""
    return np.asarray(np.ptp(values, axis=1) <= 1e-12 * size)


def _jackknife(a: Floats, b: Floats) -> PerRow:
    """Standard error (row,) of the correlation from leaving out one draw at a time."""
    draws = a.shape[1]
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    again = draws / (draws - 1)  # the mean moves too when a draw leaves
    both = (a * b).sum(axis=1, keepdims=True) - again * a * b
    left = (a * a).sum(axis=1, keepdims=True) - again * a * a
    right = (b * b).sum(axis=1, keepdims=True) - again * b * b
    scale = np.sqrt(np.maximum(left, 0.0) * np.maximum(right, 0.0))
    without = np.divide(both, scale, out=np.full(a.shape, np.nan), where=scale > 0)
    return np.asarray(np.sqrt((draws - 1) * without.var(axis=1)))
