# SPDX-License-Identifier: Apache-2.0
"""Paired comparison of two methods on the same rows: tests, effect sizes and equivalence."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from scipy import stats as scipy_stats
from scipy.optimize import brentq

from assay.basics.clustered import mean_with_standard_error, number_clusters, sum_clusters
from assay.basics.errors import InputError
from assay.basics.samples.group_gaps import paired_rate_limits
from assay.basics.seed import Seed
from assay.basics.stats import Interval, auc
from assay.basics.types import Floats, Ints

SKEWNESS_INFLATION = 12.0
"""Small-sample factor of the skewness: it is multiplied by 1 + this / n."""

MAX_EXACT_ROWS = 13
"""Largest number of rows (or clusters) for which all sign patterns are enumerated: 2¹², by symmetry."""

DECIDED = 0.82
"""Predicted probability with which the further rows that are asked for decide; simulated, at least 80 % do."""

MAX_TIMES = 1000
"""The most further rows that are asked for, in multiples of the present ones."""

BLOCK = 1000
"""Number of sign patterns drawn per batch."""


def sign_flip(
    differences: Floats, *, clusters: Ints | None = None, draws: int = 9999, seed: Seed | None = None
) -> Floats:
    """Two-sided p-value (test,) of the sign-flip permutation test that the mean of ``differences`` (row, test) is 0.

    Exact if the differences are symmetric around 0 under the null hypothesis (as they are if the two methods are
    exchangeable), else asymptotically valid for their mean. Up to 13 rows all sign patterns are used, else ``draws``
    random ones and p = (1 + hits) / (1 + draws). All rows of a cluster change sign together. NaN rows are left out; a
    test without rows gives NaN. All tests use the same patterns.
    """
    differences = np.asarray(differences, dtype=np.float64)
    if differences.ndim != 2:
        raise InputError(f"sign_flip takes differences (row, test); got shape {differences.shape}.")
    sums, counts = sum_clusters(differences, number_clusters(clusters, len(differences)))
    least = np.abs(sums.sum(axis=0)) - 1e-9 * np.abs(sums).sum(axis=0)
    undefined = counts.sum(axis=0) == 0
    if len(sums) <= MAX_EXACT_ROWS:
        patterns = np.array([(1.0, *rest) for rest in product((1.0, -1.0), repeat=max(len(sums) - 1, 0))])
        share = np.mean(np.abs(patterns[:, : len(sums)] @ sums) >= least, axis=0)
        return np.where(undefined, np.nan, share)
    generator = (seed or Seed()).child("sign flip").generator()
    hits = np.zeros(sums.shape[1])
    for start in range(0, draws, BLOCK):
        coins = generator.integers(2, size=(min(BLOCK, draws - start), len(sums)), dtype=np.int8)
        signs = 2.0 * coins - 1.0
        hits += (np.abs(signs @ sums) >= least).sum(axis=0)
    return np.where(undefined, np.nan, (1 + hits) / (1 + draws))


def signed_rank(
    differences: Floats, *, clusters: Ints | None = None, draws: int = 9999, seed: Seed | None = None
) -> Floats:
    """Two-sided p-value (test,) of Wilcoxon's signed-rank test on ``differences`` (row, test), by sign flips.

    Zeros are left out, ties get their mean rank, and p is exact for few rows also with ties, where
    ``scipy.stats.wilcoxon`` uses the normal approximation.
    """
    differences = np.asarray(differences, dtype=np.float64)
    ranks = np.zeros(differences.shape)
    for test, column in enumerate(differences.T):
        counted = ~np.isnan(column) & (column != 0)
        ranks[counted, test] = scipy_stats.rankdata(np.abs(column[counted]))
    signed = np.where(np.isnan(differences), np.nan, np.sign(differences) * ranks)
    return sign_flip(signed, clusters=clusters, draws=draws, seed=seed)


def paired_rate_interval(was: Floats, now: Floats, level: float = 0.95) -> Interval:
    """Interval for a difference of paired rates: half a pair is added to either kind of change (Agresti and Min 2005).

    ``was`` and ``now`` (row,) are 0 or 1. Its width is positive even where no row changes.
    """
    low, high = paired_rate_limits((now > was).sum(), (now < was).sum(), len(was), level)
    return Interval(float(low), float(high), level, "agresti-min")


def cliffs_delta(one: Floats, other: Floats) -> float:
    """Cliff's δ: P(value of ``one`` > value of ``other``) − P(value of ``one`` < value of ``other``), −1 … 1.

    Over all pairs of values, not only the matched rows (Cliff 1993); NaN without rows.
    """
    return 2 * auc(other, one) - 1 if len(one) and len(other) else float("nan")


def standardised_mean_difference(differences: Floats) -> float:
    """Cohen's d of paired differences: mean / standard deviation; NaN if the differences do not vary."""
    if len(differences) < 2 or np.ptp(differences) == 0:
        return float("nan")
    return float(np.mean(differences) / np.std(differences, ddof=1))


def equivalence_p_value(differences: Floats, margin: float, clusters: Ints | None = None) -> float:
    """p-value of the TOST equivalence test: H0 is |mean difference| ≥ ``margin`` (Schuirmann 1987).

    A small p-value means that the mean lies within ±margin. It is the larger of Student's p and the p of t corrected
    for skewness (Hall 1992); the sample skewness, which is biased towards 0 in small samples, is multiplied by
    1 + 12 / n. The type I error at the 5 % level for a true difference equal to the margin is 4.2 to 4.9 % with 12 to
    60 exponential differences (8 to 16 % by Student's p alone), up to 6.2 % with lognormal ones (σ = 0.7), and below
    5 % with normal and t3 ones (20,000 simulations each). Differences that do not vary give 0 within the margin and 1
    beyond it; NaN with fewer than two rows or clusters.
    """
    if not margin > 0:
        raise InputError(f"margin={margin}; the equivalence margin must be above 0.")
    mean, error, freedom = mean_with_standard_error(differences, clusters)
    if freedom < 1:
        return float("nan")
    if error == 0:
        return float(abs(mean) >= margin)
    sums, _ = sum_clusters(np.asarray(differences) - mean, number_clusters(clusters, len(differences)))
    skewness = float(np.mean(sums**3) / np.mean(sums**2) ** 1.5) * (1 + SKEWNESS_INFLATION / len(sums))
    sides = [((mean + margin) / error, skewness), ((margin - mean) / error, -skewness)]
    return max(_tail_probability(t, skew, freedom) for t, skew in sides)


def _tail_probability(t: float, skewness: float, freedom: int) -> float:
    """Probability of a larger t: Student's, or that of Hall's transformed t if it is larger."""
    count = freedom + 1
    g = skewness / math.sqrt(count)
    corrected = t + g * t**2 / 3 + g**2 * t**3 / 27 + g / 6
    return float(max(scipy_stats.t.sf(t, freedom), scipy_stats.t.sf(corrected, freedom)))


def shaffer_holm(p_values: Floats, most: int) -> Floats:
    """Shaffer's adjusted p-values: Holm's, when at most ``most`` hypotheses can be true together (Shaffer 1986).

    With ``most`` = number of hypotheses they are Holm's. NaN stays NaN and is not counted.
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p_values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[order] * np.minimum(most, np.arange(len(order), 0, -1))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else steps
    return adjusted


def rows_to_decide(estimate: float, interval: Interval, threshold: float, rows: int) -> int | None:
    """Number of further rows with which the interval excludes ``threshold`` with probability ``DECIDED``.

    The probability is predictive: the unknown mean is normal around ``estimate`` with the standard error of the present
    rows (a flat prior), and the further rows vary around it. With n rows in all for each present one and z and c the
    distance and the half width in standard errors, it is Φ((z √n − c) / √(n − 1)) + Φ((−z √n − c) / √(n − 1)). A number
    that only lets the width shrink to the distance (n = (c / z)²) would decide about half of the time. Of an interval
    that is not symmetric the wider finite side counts, and a correction for several comparisons within the interval
    is read as a wider one; both make the number larger, not smaller.

    ``None`` if it is undefined, or more than 1,000 times the present rows, and where estimate and threshold are equal.
    """
    distance = abs(estimate - threshold)
    toward, away = interval.high - estimate, estimate - interval.low
    if estimate > threshold:
        toward, away = away, toward
    if not (math.isfinite(toward) and math.isfinite(distance)) or distance == 0 or toward <= 0:
        return None
    reach = max(toward, away) if math.isfinite(away) else toward
    c = float(scipy_stats.norm.ppf((1 + interval.level) / 2))
    z = c * distance / reach

    def excess(log_times: float) -> float:
        times = math.exp(log_times)
        spread, centre = math.sqrt(2 * (times - 1)), z * math.sqrt(times)
        return (math.erfc((c - centre) / spread) + math.erfc((c + centre) / spread)) / 2 - DECIDED

    fewest, most = math.log1p(1 / rows), math.log1p(MAX_TIMES)
    if excess(most) < 0:
        return None
    return 1 if excess(fewest) >= 0 else math.ceil(rows * math.expm1(float(brentq(excess, fewest, most))))
