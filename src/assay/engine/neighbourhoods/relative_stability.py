# SPDX-License-Identifier: Apache-2.0
"""Relative stability: the relative change of an explanation divided by the change of inputs, outputs or activations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Array, Floats, PerRow
from assay.cases.case import Case
from assay.engine.neighbourhoods.neighbourhood import (
    explain_neighbours,
    is_class_unchanged,
    max_over_draws,
    perturbed_outputs,
)
from assay.engine.search.ball import Ball
from assay.nouns.results.result import Estimate, Explanation

Denominator = Callable[[int, Array, Floats], PerRow]
"""The change (row,) in the denominator, from a draw's number, rows and outputs; NaN where it is undefined."""


def relative_stability(
    explanation: Explanation,
    case: Case,
    ball: Ball,
    draws: int,
    denominator: Denominator,
    *,
    share: float,
    floor: float,
    needs_outputs: bool,
) -> Estimate:
    """max ‖Δφ / φ‖ / max(denominator, floor) over the draws that predict the same class; extra counts the draws.

    ``needs_outputs`` says whether the model's outputs at the draws are computed.
    """
    if not 0 <= share < 1:
        raise InputError(f"share={share}; it is a share of the largest magnitude, at least 0 and below 1.")
    if not 0 < floor < np.inf:
        raise InputError(f"floor={floor}; the smallest denominator must be above 0 and finite.")
    change = relative_change(explanation.values, share)
    ratios, flipped, floored = [], np.zeros(len(case)), np.zeros(len(case))
    for draw, (x, values) in enumerate(explain_neighbours(explanation, case, ball, draws)):
        outputs = perturbed_outputs(case, ball, draw, x) if needs_outputs else np.empty((len(case), 0))
        below = denominator(draw, x, outputs)
        same = is_class_unchanged(case, outputs)
        ratios.append(np.where(same, change(values) / np.maximum(below, floor), np.nan))
        flipped += ~same
        floored += same & (below < floor)
    counted = above_share(explanation.values, share).sum(axis=1).astype(np.float64)
    extra = {"flipped": flipped, "floored": floored, "draws": draws - flipped, "parts": counted}
    return Estimate(max_over_draws(np.stack(ratios, axis=1)), extra=extra)


def relative_change(before: Floats, share: float) -> Callable[[Floats], PerRow]:
    """‖(after − before) / before‖ (row,) as a function of ``after``, Euclidean over the elements ``above_share``.

    NaN where a row has no such element.
    """
    counted = above_share(before, share)
    divisor, defined = np.where(counted, before, 1.0), counted.any(axis=1)

    def change(after: Floats) -> PerRow:
        quotient = np.where(counted, (after - before) / divisor, 0.0)
        return np.where(defined, np.linalg.norm(quotient, axis=1), np.nan)

    return change


def above_share(values: Floats, share: float) -> np.ndarray:
    """Where a magnitude is above 0 and at least ``share`` of its row's largest magnitude, (row, element)."""
    size = np.nan_to_num(np.abs(values), nan=0.0)
    return np.asarray((size > 0) & (size >= share * size.max(axis=1, keepdims=True)))
