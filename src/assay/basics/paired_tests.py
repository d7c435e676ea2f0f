# SPDX-License-Identifier: Apache-2.0
"""Two methods judged on the same rows: tests of their differences, sizes of effects, equivalence."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.clustered import mean_error, numbered, summed
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import Interval, auc
from assay.basics.types import Floats, Ints

SHY = 12.0
"""By how much, over their number, the skewness of few values is enlarged."""

EXACT = 13
"""Rows (or clusters) up to which every pattern of signs is counted: 2¹² of them, since two sides are alike."""

BLOCK = 1000
"""Patterns of signs drawn at a time."""


def sign_flip(
    differences: Floats, *, clusters: Ints | None = None, draws: int = 9999, seed: Seed | None = None
) -> Floats:
    """Two-sided p-value (test,) of a mean difference of zero, ``differences`` (row, test), by changing signs.

    Exact where the differences are symmetric around 0 under the hypothesis (as they are when the two methods can be
    exchanged), else asymptotically right for their mean. All patterns of signs up to 13 rows, else ``draws`` of them
    and p = (1 + hits) / (1 + draws). Clusters change sign as a whole. NaN rows are left out; a test without rows is
    NaN. All tests share their patterns.
    """
    differences = np.asarray(differences, dtype=np.float64)
    if differences.ndim != 2:
        raise InputError(f"sign_flip takes differences (row, test); got shape {differences.shape}.")
    sums, counts = summed(differences, numbered(clusters, len(differences)))
    least = np.abs(sums.sum(axis=0)) - 1e-9 * np.abs(sums).sum(axis=0)
    undefined = counts.sum(axis=0) == 0
    if len(sums) <= EXACT:
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
    """Two-sided p-value (test,) of Wilcoxon's signed-rank test, ``differences`` (row, test), by changing signs.

    Zeros are left out, ties get their mean rank, and p is exact for few rows with ties, too, where
    ``scipy.stats.wilcoxon`` takes the normal law.
    """
    differences = np.asarray(differences, dtype=np.float64)
    ranks = np.zeros(differences.shape)
    for test, column in enumerate(differences.T):
        counted = ~np.isnan(column) & (column != 0)
        ranks[counted, test] = scipy_stats.rankdata(np.abs(column[counted]))
    signed = np.where(np.isnan(differences), np.nan, np.sign(differences) * ranks)
    return sign_flip(signed, clusters=clusters, draws=draws, seed=seed)


def cliffs_delta(one: Floats, other: Floats) -> float:
    """Chance that a value of ``one`` is above a value of ``other``, less the chance that it is below: −1 … 1.

    Over all pairs of rows, not the paired ones alone (Cliff 1993); NaN without rows.
    """
    return 2 * auc(other, one) - 1 if len(one) and len(other) else float("nan")


def standardised(differences: Floats) -> float:
    """Mean difference over the standard deviation of the differences; NaN where they do not vary."""
    if len(differences) < 2 or np.ptp(differences) == 0:
        return float("nan")
    return float(np.mean(differences) / np.std(differences, ddof=1))


def equivalence(differences: Floats, margin: float, clusters: Ints | None = None) -> float:
    """p-value of two one-sided tests that the mean difference is at least ``margin`` away from 0 (Schuirmann 1987).

    Small: the mean lies within ±margin. The larger of Student's p and that of t corrected for skewness (Hall 1992),
    the sample's skewness times 1 + 12 / n, for it comes out small in small samples. A difference of just the margin is
    called same, at the 5 % level, in 4.2 to 4.9 % of cases with 12 to 60 exponential differences (8 to 16 % by
    Student's p alone), in up to 6.2 % with lognormal ones (σ = 0.7), in fewer than 5 % with normal and t3 ones
    (20,000 simulations each). Differences that do not vary give 0 within the margin and 1 beyond it; NaN with fewer
    than two rows or clusters.
    """
    if not margin > 0:
        raise InputError(f"margin={margin}; a difference that does not matter is above 0.")
    mean, error, freedom = mean_error(differences, clusters)
    if freedom < 1:
        return float("nan")
    if error == 0:
        return float(abs(mean) >= margin)
    sums, _ = summed(np.asarray(differences) - mean, numbered(clusters, len(differences)))
    skewness = float(np.mean(sums**3) / np.mean(sums**2) ** 1.5) * (1 + SHY / len(sums))
    sides = [((mean + margin) / error, skewness), ((margin - mean) / error, -skewness)]
    return max(_beyond(t, lean, freedom) for t, lean in sides)


def _beyond(t: float, skewness: float, freedom: int) -> float:
    """Chance of a larger t: Student's, or of Hall's transformed t where that is larger."""
    count = freedom + 1
    lean = skewness / math.sqrt(count)
    corrected = t + lean * t**2 / 3 + lean**2 * t**3 / 27 + lean / 6
    return float(max(scipy_stats.t.sf(t, freedom), scipy_stats.t.sf(corrected, freedom)))


def holm_among(p_values: Floats, most: int) -> Floats:
    """Holm's adjusted p-values where at most ``most`` of the hypotheses can be true together (Shaffer 1986).

    ``most`` = their number gives Holm's own. NaN stays NaN and is not counted.
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p_values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[order] * np.minimum(most, np.arange(len(order), 0, -1))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else steps
    return adjusted


def rows_to_decide(estimate: float, interval: Interval, threshold: float, rows: int) -> int | None:
    """How many further rows would part estimate and threshold, if the estimate stayed: width shrinks as 1/√rows.

    ``None`` where that is unknown, or more than a thousand times the rows there are: the estimate is the threshold.
    """
    distance = abs(estimate - threshold)
    reach = interval.high - estimate if estimate < threshold else estimate - interval.low
    if not (math.isfinite(reach) and math.isfinite(distance)) or distance == 0 or reach <= 0:
        return None
    missing = rows * ((reach / distance) ** 2 - 1)
    return max(1, math.ceil(missing)) if missing < 1000 * rows else None
