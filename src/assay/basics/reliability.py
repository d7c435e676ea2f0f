# SPDX-License-Identifier: Apache-2.0
"""Reliability of repeated measurements: intraclass correlation and Krippendorff's α."""

from __future__ import annotations

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.stats import Interval
from assay.basics.types import Floats


def intraclass_correlation(values: Floats, level: float = 0.95) -> tuple[float, Interval]:
    """Intraclass correlation ICC(1,1) of ``values`` (row, measurement), with its interval (Shrout and Fleiss 1979).

    (MSB − MSW) / (MSB + (k − 1) MSW): near 1 if the variance between rows is far above the variance within rows, 0 if
    there is none between rows; at least −1/(k − 1). The interval is exact for normal errors. NaN with fewer
    than two rows or measurements, and if all values are equal.
    """
    rows, times = values.shape
    undefined = Interval(np.nan, np.nan, level, "undefined")
    if rows < 2 or times < 2 or not np.isfinite(values).all() or np.ptp(values) == 0:
        return float("nan"), undefined
    own = values.mean(axis=1)
    between = times * np.sum((own - values.mean()) ** 2) / (rows - 1)
    within = np.sum((values - own[:, None]) ** 2) / (rows * (times - 1))
    if within == 0:
        return 1.0, Interval(1.0, 1.0, level, "shrout-fleiss")
    ratio = between / within
    tail, free, left = (1 + level) / 2, rows - 1, rows * (times - 1)
    low = ratio / scipy_stats.f.ppf(tail, free, left)
    high = ratio * scipy_stats.f.ppf(tail, left, free)
    least, most = ((found - 1) / (found + times - 1) for found in (low, high))
    return float((ratio - 1) / (ratio + times - 1)), Interval(float(least), float(most), level, "shrout-fleiss")


def krippendorff_alpha(values: Floats) -> float:
    """Krippendorff's α of ``values`` (rater, unit) without missing values, interval metric (Krippendorff 2004).

    1 − observed over expected disagreement = 1 − (mean variance of a unit's values) / (variance of all values), both
    with n − 1: 1 = full agreement, 0 = agreement expected by chance, below 0 = less agreement than by chance. For ranks
    without ties it equals the ordinal α. NaN with fewer than two raters or units, and if all values are equal.
    """
    raters, units = values.shape
    if raters < 2 or units < 2 or not np.isfinite(values).all() or np.ptp(values) == 0:
        return float("nan")
    return float(1.0 - values.var(axis=0, ddof=1).mean() / values.var(ddof=1))
