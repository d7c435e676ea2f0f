# SPDX-License-Identifier: Apache-2.0
"""Limits of a parameter from its profile likelihood on a grid, for one or several models of the same data."""

from __future__ import annotations

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.types import Floats


def profile_limits(grid: Floats, curves: Floats, level: float = 0.95) -> tuple[float, float]:
    """Smallest lower and largest upper limit of the profile likelihoods ``curves`` (model, grid), in log units.

    A value is in a model's interval where its curve lies within half the χ²(1) quantile below the largest; between
    points of the grid the curve is linear. At a bound of the parameter the interval is conservative.
    """
    drop = float(scipy_stats.chi2.ppf(level, 1)) / 2
    found = [_limits(grid, curve - curve.max() + drop) for curve in curves]
    return min(low for low, _ in found), max(high for _, high in found)


def _limits(grid: Floats, above: Floats) -> tuple[float, float]:
    inside = np.flatnonzero(above >= 0)
    first, last = int(inside[0]), int(inside[-1])
    low = grid[0] if first == 0 else np.interp(0, above[first - 1 : first + 1], grid[first - 1 : first + 1])
    after = slice(last, last + 2)
    high = grid[-1] if last == len(grid) - 1 else np.interp(0, above[after][::-1], grid[after][::-1])
    return float(low), float(high)
