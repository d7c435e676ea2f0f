# SPDX-License-Identifier: Apache-2.0
"""Intervals, correlations and corrections, each in float64 and each with its undefined cases as NaN."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

from assay.words.errors import InputError
from assay.words.seed import Seed
from assay.words.types import Floats


@dataclass(frozen=True)
class Interval:
    """A two-sided interval at ``level``; ``method`` says how it was made."""

    low: float
    high: float
    level: float
    method: str

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def clopper_pearson(hits: int, trials: int, level: float = 0.95) -> Interval:
    """Exact binomial interval for a rate; covers at least ``level`` whatever the rate is."""
    if trials == 0:
        return Interval(0.0, 1.0, level, "clopper-pearson")
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(scipy_stats.beta.ppf(tail, hits, trials - hits + 1))
    high = 1.0 if hits == trials else float(scipy_stats.beta.ppf(1 - tail, hits + 1, trials - hits))
    return Interval(low, high, level, "clopper-pearson")


def wilson(hits: int, trials: int, level: float = 0.95) -> Interval:
    """Score interval for a rate (Wilson 1927)."""
    if trials == 0:
        return Interval(0.0, 1.0, level, "wilson")
    z = float(scipy_stats.norm.ppf((1 + level) / 2))
    rate, denominator = hits / trials, 1 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / denominator
    half = z / denominator * np.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials**2))
    return Interval(max(0.0, float(centre - half)), min(1.0, float(centre + half)), level, "wilson")


def newcombe(hits: int, trials: int, other_hits: int, other_trials: int, level: float = 0.95) -> Interval:
    """Interval for the difference of two independent rates, first minus second (Newcombe 1998, method 10)."""
    a, b = wilson(hits, trials, level), wilson(other_hits, other_trials, level)
    p, q = hits / max(trials, 1), other_hits / max(other_trials, 1)
    low = p - q - np.hypot(p - a.low, b.high - q)
    high = p - q + np.hypot(a.high - p, q - b.low)
    return Interval(float(low), float(high), level, "newcombe")


def bootstrap(
    values: Floats,
    level: float = 0.95,
    *,
    statistic: Callable[..., Floats] = np.mean,
    draws: int = 2000,
    seed: Seed | None = None,
) -> Interval:
    """Bias-corrected and accelerated bootstrap (Efron 1987) of a statistic over inputs.

    ``values`` holds one number per input; ``statistic`` takes ``axis``. NaN inputs must be left out by the
    caller, who then also says how many were. Fewer than two inputs leave the interval undefined (NaN); equal
    inputs give a width of zero.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return Interval(np.nan, np.nan, level, "undefined")
    if np.ptp(values) == 0:
        return Interval(float(values[0]), float(values[0]), level, "bca")
    generator = (seed or Seed()).child("bootstrap").generator()
    picks = generator.integers(len(values), size=(draws, len(values)))
    resampled = np.asarray(statistic(values[picks], axis=1))
    estimate = float(statistic(values, axis=0))
    below = np.mean(resampled < estimate) + 0.5 * np.mean(resampled == estimate)
    bias = float(scipy_stats.norm.ppf(np.clip(below, 1 / (2 * draws), 1 - 1 / (2 * draws))))
    keep = ~np.eye(len(values), dtype=bool) if len(values) <= 2000 else None
    if keep is None:
        acceleration = float(scipy_stats.skew(values)) / (6 * np.sqrt(len(values)))
    else:
        held_out = np.array([statistic(values[row], axis=0) for row in keep])
        spread = held_out.mean() - held_out
        scale = np.sum(spread**2) ** 1.5
        acceleration = float(np.sum(spread**3) / (6 * scale)) if scale > 0 else 0.0
    z = scipy_stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    shares = scipy_stats.norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
    low, high = np.quantile(resampled, shares)
    return Interval(float(low), float(high), level, "bca")


def spearman(a: Floats, b: Floats) -> Floats:
    """Rank correlation of each row of ``a`` with the same row of ``b``, ties given their mean rank.

    NaN where either row is constant.
    """
    return pearson(np.asarray(scipy_stats.rankdata(a, axis=-1)), np.asarray(scipy_stats.rankdata(b, axis=-1)))


def pearson(a: Floats, b: Floats) -> Floats:
    """Linear correlation of each row of ``a`` with the same row of ``b``; NaN where either row is constant."""
    a, b = np.atleast_2d(a).astype(np.float64), np.atleast_2d(b).astype(np.float64)
    if a.shape != b.shape:
        raise InputError(f"correlation needs two arrays of one shape; got {a.shape} and {b.shape}")
    constant = (np.ptp(a, axis=-1) == 0) | (np.ptp(b, axis=-1) == 0)
    a, b = a - a.mean(axis=-1, keepdims=True), b - b.mean(axis=-1, keepdims=True)
    norm = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    ratio = np.divide((a * b).sum(axis=-1), norm, out=np.full(len(a), np.nan), where=(norm > 0) & ~constant)
    return np.clip(ratio, -1.0, 1.0)


def holm(p_values: Floats) -> Floats:
    """Holm's step-down adjusted p-values; NaN stays NaN and is not counted."""
    p_values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p_values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else steps
    return adjusted


def student(values: Floats, level: float = 0.95) -> Interval:
    """Student's interval for the mean of independent inputs: honest with few of them, unlike a bootstrap.

    Fewer than two inputs leave it undefined (NaN).
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return Interval(np.nan, np.nan, level, "undefined")
    half = float(scipy_stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Interval(float(values.mean()) - half, float(values.mean()) + half, level, "student")
