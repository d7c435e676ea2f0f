# SPDX-License-Identifier: Apache-2.0
"""How much of the spread of repeated measurements lies between what is measured."""

from __future__ import annotations

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.stats import Interval
from assay.basics.types import Floats


def intraclass(values: Floats, level: float = 0.95) -> tuple[float, Interval]:
    """Intraclass correlation ICC(1,1) of ``values`` (row, measurement), with its interval (Shrout and Fleiss 1979).

    (MSB − MSW) / (MSB + (k − 1) MSW): near 1 where rows differ by far more than measurements of one row do, 0 where
    they do not, down to −1/(k − 1). The interval is exact for normal errors. NaN with fewer than two rows or
    measurements, and where nothing varies at all.
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


def krippendorff(values: Floats) -> float:
    """Krippendorff's α of ``values`` (rater, unit) without gaps, squared differences (Krippendorff 2004).

    1 − observed over expected disagreement = 1 − (mean variance of a unit's values) / (variance of all values), both
    with n − 1: 1 where raters agree, 0 where units might as well be shuffled between raters, below 0 where raters
    disagree more than chance would. Of ranks it is the ordinal α, too, where no rater ties units. NaN with fewer than
    two raters or units, and where nothing varies.
    """
    raters, units = values.shape
    if raters < 2 or units < 2 or not np.isfinite(values).all() or np.ptp(values) == 0:
        return float("nan")
    return float(1.0 - values.var(axis=0, ddof=1).mean() / values.var(ddof=1))
