# SPDX-License-Identifier: Apache-2.0
"""Relative stability: how fast an explanation changes, in shares of itself, for the change of something else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Array, Floats, PerRow
from assay.cases.case import Case
from assay.engine.neighbourhoods.neighbourhood import label_stays, largest, neighbours, outputs_near
from assay.engine.search.ball import Ball
from assay.nouns.results.result import Estimate, Explanation

Changed = Callable[[int, Array, Floats], PerRow]
"""How much something else changes (row,) at a draw, given x and outputs there; NaN where it has no size."""


def relative_stability(
    explanation: Explanation,
    case: Case,
    ball: Ball,
    draws: int,
    other: Changed,
    *,
    share: float,
    floor: float,
    looked: bool,
) -> Estimate:
    """max ‖Δφ / φ‖ / max(other, floor) over the draws whose label stays, and how many there were of each kind.

    The model's outputs at the draws are asked for only if they are ``looked`` at.
    """
    if not 0 <= share < 1:
        raise InputError(f"share={share}; it is a share of the largest magnitude, at least 0 and below 1.")
    if not 0 < floor < np.inf:
        raise InputError(f"floor={floor}; the least a denominator may be is above 0.")
    change = relative_to(explanation.values, share)
    ratios, flipped, floored = [], np.zeros(len(case)), np.zeros(len(case))
    for draw, (x, values) in enumerate(neighbours(explanation, case, ball, draws)):
        outputs = outputs_near(case, ball, draw, x) if looked else np.empty((len(case), 0))
        below = other(draw, x, outputs)
        stays = label_stays(case, outputs)
        ratios.append(np.where(stays, change(values) / np.maximum(below, floor), np.nan))
        flipped += ~stays
        floored += stays & (below < floor)
    counted = sized(explanation.values, share).sum(axis=1).astype(np.float64)
    extra = {"flipped": flipped, "floored": floored, "draws": draws - flipped, "parts": counted}
    return Estimate(largest(np.stack(ratios, axis=1)), extra=extra)


def relative_to(before: Floats, share: float) -> Callable[[Floats], PerRow]:
    """‖(after − before) / before‖ (row,) of any ``after``, Euclidean over what is ``sized``; NaN where nothing is."""
    counts = sized(before, share)
    each, any_there = np.where(counts, before, 1.0), counts.any(axis=1)

    def change(after: Floats) -> PerRow:
        part = np.where(counts, (after - before) / each, 0.0)
        return np.where(any_there, np.linalg.norm(part, axis=1), np.nan)

    return change


def sized(values: Floats, share: float) -> np.ndarray:
    """Where a magnitude is not 0 and at least ``share`` of its row's largest, (row, element)."""
    size = np.nan_to_num(np.abs(values), nan=0.0)
    return np.asarray((size > 0) & (size >= share * size.max(axis=1, keepdims=True)))
