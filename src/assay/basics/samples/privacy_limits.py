# SPDX-License-Identifier: Apache-2.0
"""Limits for a privacy loss, the logarithm of a ratio of rates, and for the mean of exponential values."""

from __future__ import annotations

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.types import Floats, Ints


def privacy_loss_limits(hits: Ints, trials: Ints, delta: float, level: float = 0.95) -> tuple[float, float]:
    """Limits of ln((p − δ) / q) of two rates, ``hits`` of ``trials`` (2,) each, from exact limits of both.

    Low: ln((p_lo − δ) / q_hi), high: ln((p_hi − δ) / q_lo), with Clopper–Pearson limits, each wrong with probability at
    most (1 − level) / 2 on one side; so each of the two is wrong with probability at most 1 − level. −∞ where p ≤ δ,
    ∞ where q_lo is 0.
    """
    tail, n = (1 - level) / 2, np.asarray(trials, dtype=np.float64)
    k = np.asarray(hits, dtype=np.float64)
    low = np.where(k > 0, scipy_stats.beta.ppf(tail, np.maximum(k, 1), n - k + 1), 0.0)
    high = np.where(k < n, scipy_stats.beta.ppf(1 - tail, k + 1, np.maximum(n - k, 1)), 1.0)
    return _log_ratio(low[0] - delta, high[1]), _log_ratio(high[0] - delta, low[1])


def _log_ratio(above: float, below: float) -> float:
    if above <= 0:
        return float("-inf")
    return float(np.log(above / below)) if below > 0 else float("inf")


def exponential_limits(values: Floats, level: float = 0.95, largest: float = float("inf")) -> tuple[float, float]:
    """Exact limits of the mean of independent exponential ``values``: 2 · sum / χ² quantiles of 2n degrees.

    Of values that end at ``largest`` the mean is at most that.
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return float("nan"), float("nan")
    quantiles = scipy_stats.chi2.ppf([(1 + level) / 2, (1 - level) / 2], 2 * len(values))
    low, high = 2 * values.sum() / quantiles
    return float(low), float(min(high, largest))
