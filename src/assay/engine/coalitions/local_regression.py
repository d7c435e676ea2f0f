# SPDX-License-Identifier: Apache-2.0
"""LIME: a linear model of a game near the unperturbed row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import spearman
from assay.basics.types import Floats, Masks
from assay.engine.coalitions.estimator import Design, Estimator, bernoulli, is_enumerable
from assay.nouns.results.result import Estimate


def local_regression(width: float, ridge: float) -> Estimator:
    """LIME: weighted least squares of v on masks, with larger weights near the full mask.

    Masks are those of ``bernoulli(0.5)``. Standard errors are sandwich estimates over random masks; 0 where all masks
    are enumerated.
    """
    if width <= 0 or ridge < 0:
        raise InputError(f"width={width}, ridge={ridge}; width must be above 0 and ridge at least 0.")
    half = bernoulli(0.5)

    def design(parts: int, budget: int, seed: Seed) -> Design:
        if not is_enumerable(parts, budget) and budget < parts + 2:
            raise InputError(
                f"budget={budget} masks for {parts} values and an intercept; at least {parts + 2} are needed, and "
                f"several times as many are better. Raise budget, or group features."
            )
        sampled = half.design(parts, budget, seed)
        distance = 1.0 - np.sqrt(sampled.masks.mean(axis=1))  # cosine distance of a mask to all ones
        weight = np.exp(-((distance / width) ** 2))
        if not _is_determined(sampled.masks, weight):
            raise InputError(
                f"budget={budget}, width={width}: the masks with non-negligible weight do not determine {parts} "
                f"values. Raise budget or width, or group features."
            )
        return replace(sampled, weight=weight)

    def estimate(design: Design, values: Floats) -> Estimate:
        weight, masks = design.weight, design.masks.astype(np.float64)
        share = weight / weight.sum()
        pseudo_inverse = _pseudo_inverse(masks, weight, ridge)
        phi = values @ pseudo_inverse
        intercept = values @ share - phi @ (share @ masks)
        residual = values - intercept[:, None] - phi @ masks.T
        spread = ((values - (values @ share)[:, None]) ** 2) @ share
        flat = np.ptp(values, axis=1) == 0
        fidelity = 1.0 - np.divide(residual**2 @ share, spread, out=np.full(len(values), np.nan), where=~flat)
        freedom = 0.0 if len(design.population) else len(masks) / (len(masks) - masks.shape[1] - 1)
        return Estimate(
            phi,
            np.sqrt(residual**2 @ pseudo_inverse**2 * freedom),
            intercept,
            extra={"fidelity": fidelity, "stability": _stability(design, values, ridge)},
        )

    return Estimator(half.name, design, estimate, allows_absent_parts=True)


def _pseudo_inverse(masks: Floats, weight: Floats, ridge: float) -> Floats:
    """(mask, part): the ridge solution φ = values · pseudo_inverse."""
    centred = masks - (weight / weight.sum()) @ masks
    gram = (centred * weight[:, None]).T @ centred + ridge * np.eye(masks.shape[1])
    return np.asarray(np.linalg.solve(gram, (centred * weight[:, None]).T).T)


def _is_determined(masks: Masks, weight: Floats) -> bool:
    """Whether weighted least squares on these masks has a unique solution."""
    columns = np.concatenate([np.ones((len(weight), 1)), masks], axis=1)
    return bool(np.linalg.matrix_rank(columns * np.sqrt(weight)[:, None]) == columns.shape[1])


def _stability(design: Design, values: Floats, ridge: float) -> Floats:
    """Rank correlation (row,) of the values fitted to the even masks and to the odd masks.

    1 where all masks are enumerated; NaN where a half does not determine the values or gives all parts the same value.
    """
    if len(design.population):
        return np.ones(len(values))
    halves = [slice(start, None, 2) for start in (0, 1)]
    if not all(_is_determined(design.masks[half], design.weight[half]) for half in halves):
        return np.full(len(values), np.nan)
    one, two = (
        values[:, half] @ _pseudo_inverse(design.masks[half].astype(np.float64), design.weight[half], ridge)
        for half in halves
    )
    return spearman(one, two)
