# SPDX-License-Identifier: Apache-2.0
"""Shapley values of the gap between two groups' rates of a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import NumericalError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.coalitions.estimator import exact_shapley, is_enumerable
from assay.engine.coalitions.leverage import paired_leverage

PER_DECISION = 2
"""Rows of each decision of a group that are drawn at least, where the group has them."""


@dataclass(frozen=True, eq=False)
class Decomposition:
    """What each feature contributes to a gap: ``values`` and ``stderr`` (part,); with ``base`` they add up to ``gap``.

    ``rows`` are the numbers of rows drawn from the two groups.
    """

    values: Floats
    stderr: Floats
    base: float
    gap: float
    rows: tuple[int, int]


def decompose_gap(decided: Case, groups: tuple[Any, Any], remove: Removal, rows: int, budget: int) -> Decomposition:
    """Shapley values of the mean decision in one group minus that in the other; ``groups`` holds two masks (row,).

    At most ``rows`` rows of each group are drawn by id, favourable and other decisions in their proportion, and each
    row is weighted by the rows of its group and decision that it stands for. So the rows drawn have the gap of all
    rows, whatever is drawn. The estimator is linear in v, so the values of the gap's own game are the mean values of
    one group minus those of the other. Standard errors combine the sampling of rows (two weighted samples; the
    proportions drawn make them a little too large) with the sampling of coalitions.
    """
    drawn = [_draw(decided, inside, rows, side) for side, inside in enumerate(groups)]
    sample = decided.take(np.concatenate([places for places, _ in drawn]))
    (upper, first), (lower, second) = drawn
    weights = np.concatenate([first, -second])
    features = len(sample.features)
    estimator = exact_shapley if is_enumerable(features, budget) else paired_leverage
    design = estimator.design(features, budget, sample.seed.child("design", estimator.name))
    table = sample.game(remove).table(design.masks)
    each = estimator.estimate(design, table).values
    mean = estimator.estimate(design, (weights @ table)[None])
    spread = _squared_error(each[: len(upper)], first) + _squared_error(each[len(upper) :], second)
    stderr = np.sqrt(spread + np.asarray(mean.stderr)[0] ** 2)
    base, gap = float(np.asarray(mean.base)[0]), float(weights @ sample.output)
    values = np.asarray(mean.values[0])
    missed = gap - base - float(values.sum())
    if not abs(missed) < 1e-6:
        raise NumericalError(f"contributions miss the gap by {missed:.2g}; they add up to it in exact arithmetic.")
    return Decomposition(values, stderr, base, gap, (len(upper), len(lower)))


def _draw(decided: Case, inside: Any, rows: int, side: int) -> tuple[Ints, Floats]:
    """Positions of at most ``rows`` rows of a group, and the share of the group that each stands for (sum 1)."""
    places = np.flatnonzero(inside)
    places = places[np.argsort(np.array(decided.rows.ids)[places], kind="stable")]
    places = decided.seed.child("disparity", "rows", side).generator().permutation(places)
    favourable = decided.output[places] > 0.5
    hits, others = places[favourable], places[~favourable]
    if len(places) > rows:
        least = PER_DECISION if rows >= 2 * PER_DECISION else 1
        share = round(rows * len(hits) / len(places))
        count = min(max(share, min(least, len(hits))), rows - min(least, len(others)))
        drawn = hits[:count], others[: rows - count]
    else:
        drawn = hits, others
    weights = [np.full(len(d), len(every) / len(places) / max(len(d), 1)) for d, every in zip(drawn, (hits, others))]
    order = np.argsort(np.concatenate(drawn), kind="stable")
    return np.concatenate(drawn)[order], np.concatenate(weights)[order]


def _squared_error(each: Floats, weights: Floats) -> Floats:
    """Squared standard error of the weighted mean over rows; NaN with one row."""
    count = len(each)
    if count < 2:
        return np.full(each.shape[1], np.nan)
    return np.asarray(weights**2 @ (each - weights @ each) ** 2 * count / (count - 1))
