# SPDX-License-Identifier: Apache-2.0
"""A linear model of a game near the row itself, as a summary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import spearman
from assay.basics.types import Floats, Masks
from assay.engine.coalitions.summary import Design, Summary, bernoulli, enumerated
from assay.nouns.results.result import Estimate


def local_regression(width: float, ridge: float) -> Summary:
    """LIME: weighted least squares of v on the masks, near the row itself; asks the masks of ``bernoulli(0.5)``.

    Standard errors: the sandwich for masks drawn at random; 0 when all are listed.
    """
    if width <= 0 or ridge < 0:
        raise InputError(f"width={width}, ridge={ridge}; width is above 0, ridge at least 0.")
    half = bernoulli(0.5)

    def design(parts: int, budget: int, seed: Seed) -> Design:
        if not enumerated(parts, budget) and budget < parts + 2:
            raise InputError(
                f"budget={budget} masks for {parts} values and an intercept; at least {parts + 2} are needed, better "
                f"several times as many. Raise budget, or group parts."
            )
        drawn = half.design(parts, budget, seed)
        distance = 1.0 - np.sqrt(drawn.masks.mean(axis=1))  # cosine distance of a mask to all ones
        weight = np.exp(-((distance / width) ** 2))
        if not _determined(drawn.masks, weight):
            raise InputError(
                f"budget={budget}, width={width}: the masks that weigh anything do not determine {parts} values. "
                f"Raise budget or width, or group parts."
            )
        return replace(drawn, weight=weight)

    def estimate(design: Design, values: Floats) -> Estimate:
        weight, masks = design.weight, design.masks.astype(np.float64)
        share = weight / weight.sum()
        lever = _lever(masks, weight, ridge)
        phi = values @ lever
        intercept = values @ share - phi @ (share @ masks)
        residual = values - intercept[:, None] - phi @ masks.T
        spread = ((values - (values @ share)[:, None]) ** 2) @ share
        flat = np.ptp(values, axis=1) == 0
        fidelity = 1.0 - np.divide(residual**2 @ share, spread, out=np.full(len(values), np.nan), where=~flat)
        freedom = 0.0 if len(design.population) else len(masks) / (len(masks) - masks.shape[1] - 1)
        return Estimate(
            phi,
            np.sqrt(residual**2 @ lever**2 * freedom),
            intercept,
            extra={"fidelity": fidelity, "stability": _stability(design, values, ridge)},
        )

    return Summary(half.name, design, estimate, partial=True)


def _lever(masks: Floats, weight: Floats, ridge: float) -> Floats:
    """(mask, part): φ = values · lever."""
    centred = masks - (weight / weight.sum()) @ masks
    gram = (centred * weight[:, None]).T @ centred + ridge * np.eye(masks.shape[1])
    return np.asarray(np.linalg.solve(gram, (centred * weight[:, None]).T).T)


def _determined(masks: Masks, weight: Floats) -> bool:
    """Whether weighted least squares on these masks has one solution."""
    columns = np.concatenate([np.ones((len(weight), 1)), masks], axis=1)
    return bool(np.linalg.matrix_rank(columns * np.sqrt(weight)[:, None]) == columns.shape[1])


def _stability(design: Design, values: Floats, ridge: float) -> Floats:
    """Rank correlation (row,) of the fits to every other mask and to the rest.

    1 where all masks are listed; NaN where a half does not determine the values, or gives all parts the same.
    """
    if len(design.population):
        return np.ones(len(values))
    halves = [slice(start, None, 2) for start in (0, 1)]
    if not all(_determined(design.masks[half], design.weight[half]) for half in halves):
        return np.full(len(values), np.nan)
    one, two = (
        values[:, half] @ _lever(design.masks[half].astype(np.float64), design.weight[half], ridge) for half in halves
    )
    return spearman(one, two)
