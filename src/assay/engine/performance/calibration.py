# SPDX-License-Identifier: Apache-2.0
"""Calibration of probabilities: do events with probability p happen in a share p of the rows?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from assay.basics.seed import Seed
from assay.basics.stats import Interval, wilson
from assay.basics.types import Floats

MAX_BINS, ROWS_PER_BIN, SIMULATED = 10, 25, 4000
"""Bins of equal size, the fewest rows of each, and simulations of the noise of the error."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """The reliability curve, and the expected calibration error (ECE) with the noise that it has.

    ``error`` is Σ over bins (share of rows) · |mean event − mean probability|, 0 … 1; it is above 0 for a calibrated
    model too, since the rows are a sample. ``noise`` (draw,) are distances between observed and true rates, summed like
    the error: |error − true error| is at most such a distance. ``null_high`` is the 95 % quantile of the error of a
    calibrated model with these probabilities. ``slope`` and ``intercept`` are those of the logistic regression of the
    event on the log odds: 1 and 0 where calibrated, a slope below 1 means too extreme probabilities; NaN where all
    events are equal or the events are separable.
    """

    error: float
    noise: Floats
    null_high: float
    slope: float
    slope_interval: Interval
    intercept: float
    curve: list[dict[str, Any]]


def calibration(probability: Floats, event: Any, seed: Seed, level: float = 0.95) -> Calibration | None:
    """The calibration of the probabilities (row,) of an event (row,); ``None`` for fewer than two bins of 25 rows."""
    rows = len(probability)
    bins = min(MAX_BINS, rows // ROWS_PER_BIN)
    if bins < 2:
        return None
    happened = np.asarray(event, dtype=np.float64)
    groups = np.array_split(np.argsort(probability, kind="stable"), bins)
    share = np.array([len(group) / rows for group in groups])
    means = np.array([probability[group].mean() for group in groups])
    rates = np.array([happened[group].mean() for group in groups])
    generator = seed.generator()
    sizes = np.array([len(group) for group in groups])
    smoothed = (rates * sizes + 1) / (sizes + 2)
    noise = np.abs(generator.binomial(sizes, smoothed, size=(SIMULATED, bins)) / sizes - smoothed) @ share
    expected = np.array([probability[group].mean() for group in groups])
    null = np.abs(generator.binomial(sizes, np.clip(expected, 0, 1), size=(SIMULATED, bins)) / sizes - expected) @ share
    slope, intercept, spread = logistic_recalibration(probability, happened)
    half = 1.959963984540054 * spread
    return Calibration(
        error=float(np.abs(rates - means) @ share),
        noise=noise,
        null_high=float(np.quantile(null, 0.95)),
        slope=slope,
        slope_interval=Interval(slope - half, slope + half, 0.95, "wald"),
        intercept=intercept,
        curve=[
            {
                "mean probability": float(mean),
                "share of events": float(rate),
                "low": wilson(round(rate * size), int(size), level).low,
                "high": wilson(round(rate * size), int(size), level).high,
                "rows": int(size),
            }
            for mean, rate, size in zip(means, rates, sizes)
        ],
    )


def logistic_recalibration(probability: Floats, event: Floats) -> tuple[float, float, float]:
    """Slope, intercept and the slope's standard error of the event on the log odds (Cox 1958), by Newton steps.

    NaN where the events are all equal or separable, the probabilities all equal, or the steps do not converge.
    Probabilities of 0 and 1 count as 1e-6 and 1 − 1e-6.
    """
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    odds = np.log(clipped) - np.log1p(-clipped)
    if np.ptp(odds) == 0 or _is_separable(odds, event):
        return (float("nan"),) * 3
    design = np.stack([np.ones_like(odds), odds], axis=1)
    weights = np.zeros(2)
    for _ in range(100):
        fitted = expit(design @ weights)
        information = (design * (fitted * (1 - fitted))[:, None]).T @ design
        step = np.linalg.lstsq(information, design.T @ (event - fitted), rcond=None)[0]
        weights = weights + step
        if np.abs(step).max() <= 1e-8 * (1 + np.abs(weights).max()):
            return float(weights[1]), float(weights[0]), float(np.sqrt(np.linalg.pinv(information)[1, 1]))
    return (float("nan"),) * 3


def _is_separable(odds: Floats, event: Floats) -> bool:
    """Whether a threshold on the log odds divides the events from the rest: no slope is then the most likely."""
    inside, outside = odds[event == 1], odds[event != 1]
    if not len(inside) or not len(outside):
        return True
    return bool(inside.min() >= outside.max() or outside.min() >= inside.max())
