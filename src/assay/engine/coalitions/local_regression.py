# SPDX-License-Identifier: Apache-2.0
"""LIME: a linear model of a game near the unperturbed row."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import spearman
from assay.basics.types import Floats, Masks
from assay.engine.coalitions.estimator import Design, Estimator, bernoulli, is_enumerable
from assay.nouns.results.result import Estimate

ROUNDING = 1e-12
"""Coefficients up to this share of a row's largest are 0 but for rounding."""


@lru_cache(maxsize=4)
def local_regression(width: float, ridge: float) -> Estimator:
    """LIME: weighted least squares of v on masks, with larger weights near the full mask.

    Masks are those of ``bernoulli(0.5)``. Standard errors are sandwich estimates over random masks; 0 where all masks
    are enumerated.
    """
    if width <= 0 or ridge < 0:
        raise InputError(f"width={width}, ridge={ridge}; width must be above 0 and ridge at least 0.")
    half = bernoulli(0.5)

    @lru_cache(maxsize=2)  # a plan asks for the same masks as the call, and determining them takes a decomposition
    def design(parts: int, budget: int, seed: Seed) -> Design:
        if not is_enumerable(parts, budget) and budget < parts + 2:
            raise InputError(
                f"budget={budget} masks for {parts} values and an intercept; at least {parts + 2} are needed, and "
                f"several times as many are better. Raise budget, or group features."
            )
        sampled = half.design(parts, budget, seed)
        distance = 1.0 - np.sqrt(sampled.masks.mean(axis=1))  # cosine distance of a mask to all ones
        weight = np.exp(-((distance / width) ** 2))
        if not is_determined(sampled.masks, weight):
            raise InputError(
                f"budget={budget}, width={width}: the masks with non-negligible weight do not determine {parts} "
                f"values. Raise budget or width, or group features."
            )
        return replace(sampled, weight=weight)

    def estimate(design: Design, values: Floats) -> Estimate:
        sampled = not len(design.population)
        return fit_linear(design.masks.astype(np.float64), design.weight, values, ridge, sampled=sampled)

    return Estimator(half.name, design, estimate, allows_absent_parts=True)


def fit_linear(columns: Floats, weight: Floats, values: Floats, ridge: float, *, sampled: bool) -> Estimate:
    """Weighted ridge regression of ``values`` (row, point) on ``columns`` (point, part), one fit a row.

    ``stderr`` is the sandwich error where points are ``sampled``, else 0; the base is the intercept. ``extra`` has the
    weighted R² ("fidelity"), the rank correlation of the fits to two halves of the points ("stability", 1 where they
    are not sampled), and the number of coefficients other than 0 ("nonzero").
    """
    share = weight / weight.sum()
    pseudo_inverse = _pseudo_inverse(columns, weight, ridge)
    phi = values @ pseudo_inverse
    intercept = values @ share - phi @ (share @ columns)
    residual = values - intercept[:, None] - phi @ columns.T
    spread = ((values - (values @ share)[:, None]) ** 2) @ share
    flat = np.ptp(values, axis=1) == 0
    fidelity = 1.0 - np.divide(residual**2 @ share, spread, out=np.full(len(values), np.nan), where=~flat)
    freedom = len(columns) / (len(columns) - columns.shape[1] - 1) if sampled else 0.0
    stability = _stability(columns, weight, values, ridge) if sampled else np.ones(len(values))
    size = np.abs(phi).max(axis=1, initial=0.0)
    nonzero = (np.abs(phi) > ROUNDING * size[:, None]).sum(axis=1)
    return Estimate(
        phi,
        np.sqrt(residual**2 @ pseudo_inverse**2 * freedom),
        intercept,
        extra={
            "fidelity": fidelity,
            "stability": stability,
            "nonzero": np.where(np.isfinite(size), nonzero, np.nan),
        },
    )


def is_determined(columns: Floats | Masks, weight: Floats) -> bool:
    """Whether weighted least squares on these columns (point, part) has a unique solution."""
    with_ones = np.concatenate([np.ones((len(weight), 1)), columns], axis=1)
    return bool(np.linalg.matrix_rank(with_ones * np.sqrt(weight)[:, None]) == with_ones.shape[1])


def _pseudo_inverse(columns: Floats, weight: Floats, ridge: float) -> Floats:
    """(point, part): the ridge solution φ = values · pseudo_inverse."""
    centred = columns - (weight / weight.sum()) @ columns
    gram = (centred * weight[:, None]).T @ centred + ridge * np.eye(columns.shape[1])
    return np.asarray(np.linalg.solve(gram, (centred * weight[:, None]).T).T)


def _stability(columns: Floats, weight: Floats, values: Floats, ridge: float) -> Floats:
    """Rank correlation (row,) of the values fitted to the even points and to the odd points.

    NaN where a half does not determine the values or gives all parts the same value.
    """
    halves = [slice(start, None, 2) for start in (0, 1)]
    if not all(is_determined(columns[half], weight[half]) for half in halves):
        return np.full(len(values), np.nan)
    one, two = (values[:, half] @ _pseudo_inverse(columns[half], weight[half], ridge) for half in halves)
    return spearman(one, two)
