# SPDX-License-Identifier: Apache-2.0
"""How much smaller the trigger of a class is than expected from the other classes, or from clean models."""

from __future__ import annotations

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.types import Floats

LEAST_SPREAD = 0.05
"""Least standard deviation of log sizes: a search repeats its own result no better than to about 5 %."""


def smallness(logs: Floats) -> Floats:
    """Median log size of the other classes' triggers minus that of the class, (…, class)."""
    columns = [np.median(np.delete(logs, place, axis=-1), axis=-1) for place in range(logs.shape[-1])]
    return np.asarray(np.stack(columns, axis=-1) - logs)


def trigger_contrasts(own: Floats, null: Floats, level: float) -> tuple[Floats, Floats]:
    """Log factors (source, class) by which each class's trigger is smaller than expected, and their half-widths.

    ``own`` (class,) are log sizes of the triggers of the model, ``null`` (model, class) of clean models, perhaps none.
    The first source are the other classes of the model, the second the clean models. The half-widths are those of
    Student's prediction intervals, Bonferroni-corrected for classes and sources; the second pools the spread over
    classes. NaN where fewer than two others are known.
    """
    classes, sources = len(own), 2 if len(null) > 1 else 1
    tail = 1 - (1 - level) / (2 * classes * sources)
    found, half = [np.full(classes, np.nan)], [np.full(classes, np.nan)]
    if classes > 2:
        others = np.stack([np.delete(own, place) for place in range(classes)])
        spread = np.maximum(others.std(axis=1, ddof=1), LEAST_SPREAD) * np.sqrt(1 + 1 / (classes - 1))
        found, half = [others.mean(axis=1) - own], [scipy_stats.t.ppf(tail, classes - 2) * spread]
    if sources == 2:
        known = smallness(null)
        pooled = max(float(np.sqrt(known.var(axis=0, ddof=1).mean())), LEAST_SPREAD) * np.sqrt(1 + 1 / len(null))
        quantile = float(scipy_stats.t.ppf(tail, classes * (len(null) - 1)))
        found.append(smallness(own) - known.mean(axis=0))
        half.append(np.full(classes, quantile * pooled))
    return np.stack(found), np.stack(half)


def clearest_trigger(own: Floats, null: Floats, level: float) -> tuple[int, int]:
    """The source and the class of the largest lower limit."""
    found, half = trigger_contrasts(own, null, level)
    lows = np.where(np.isnan(half), -np.inf, found - half)
    source, label = np.unravel_index(int(lows.argmax()), lows.shape)
    return int(source), int(label)


def trigger_limits(own: Floats, null: Floats, level: float) -> tuple[float, float]:
    """Limits of the largest log factor: the largest lower limit, and the largest upper limit by the clean models.

    Without clean models the upper limit is that by the other classes. NaN where neither source can be used.
    """
    found, half = trigger_contrasts(own, null, level)
    if np.isnan(half).all():
        return float("nan"), float("nan")
    low = float(np.nanmax(found - half))
    return low, max(low, float(np.nanmax(found[-1] + half[-1])))
