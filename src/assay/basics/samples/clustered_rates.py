# SPDX-License-Identifier: Apache-2.0
"""Limits of a rate of hits whose attempts are clustered, such as several answers to one prompt."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from scipy.special import betaln
from scipy.stats import beta

from assay.basics.samples.profile_limits import profile_limits
from assay.basics.types import Floats, Ints

_EDGE = np.linspace(0.0005, 0.1, 200)
RATES: Floats = np.concatenate([[1e-6], _EDGE, np.linspace(0.1, 0.9, 402)[1:-1], 1 - _EDGE[::-1], [1 - 1e-6]])
"""Rates at which the likelihood is evaluated."""

CORRELATIONS: Floats = np.concatenate([[1e-4], np.linspace(0.025, 0.975, 39), [0.9999]])
"""Correlations of two attempts of one cluster over which the likelihood is maximised."""

SPREAD = 2.42
"""(z² + 1) / 2 at 95 %: with G clusters the likelihood is divided by 1 + 2.42 / (G − 1), as t² exceeds z²."""


def clustered_rate_limits(hits: Any, draws: Any, level: float = 0.95) -> tuple[float, float]:
    """Two-sided limits of the mean rate over clusters, from ``hits`` (cluster,) in ``draws`` (cluster,) attempts.

    With one attempt a cluster they are those of Clopper and Pearson (1934). With more, those of the profile likelihood
    of a beta-binomial distribution (Williams 1975), maximised over the correlation of two attempts of one cluster, with
    a correction for few clusters. Where no attempt is a hit, or each one is, the correlation is unknown and taken as 1:
    the limits are at least as wide as the exact ones of one attempt a cluster. A single cluster is one attempt; without
    clusters the limits are 0 and 1.

    The coverage at nominal 95 % was 93 to 97 % for beta-distributed and logit-normal rates from five clusters with a
    hit on, and 88 to 93 % where half of the clusters are always or never hit (bench/redteam.md). One attempt a cluster
    covers at least 95 % whatever the distribution.
    """
    found, tried = np.asarray(hits, dtype=np.int64), np.asarray(draws, dtype=np.int64)
    found, tried = found[tried > 0], tried[tried > 0]
    clusters, total = len(found), int(found.sum())
    if clusters == 0:
        return 0.0, 1.0
    if (tried == 1).all():
        return _exact(total, clusters, level)
    if clusters == 1:
        return 0.0 if total < tried[0] else (1 - level) / 2, 1.0 if total else (1 + level) / 2
    curve = _log_likelihood(found, tried).max(axis=1) / (1 + SPREAD / (clusters - 1))
    low, high = profile_limits(RATES, curve[None], level)
    if total == 0:
        return 0.0, max(high, _exact(0, clusters, level)[1])
    if total == int(tried.sum()):
        return min(low, _exact(clusters, clusters, level)[0]), 1.0
    return low, high


def clustered_difference_limits(
    hits: Any, draws: Any, control_hits: Any, control_draws: Any, level: float = 0.95
) -> tuple[float, float]:
    """Limits of rate − control rate where both were measured in the same clusters (cluster,).

    The limits of both rates are combined with the correlation r ≥ 0 of their clusters: d − √(a² − 2rab + b²), where a
    is the rate less its lower limit and b the control's upper limit less its rate; above in the same way (Zou and
    Donner 2008). Clusters that lack attempts of either are left out.
    """
    counts = [np.asarray(one, dtype=np.int64) for one in (hits, draws, control_hits, control_draws)]
    known = (counts[1] > 0) & (counts[3] > 0)
    own, tried, control, control_tried = (one[known] for one in counts)
    if not known.any():
        return -1.0, 1.0
    rates, controls = own / tried, control / control_tried
    p, q = cluster_rate(own, tried), cluster_rate(control, control_tried)
    low, high = clustered_rate_limits(own, tried, level)
    least, most = clustered_rate_limits(control, control_tried, level)
    r = _correlation(rates, controls)
    below, above = _combined(p - low, most - q, r), _combined(high - p, q - least, r)
    return max(-1.0, p - q - below), min(1.0, p - q + above)


def cluster_rate(hits: Any, draws: Any) -> float:
    """Hits over attempts, all clusters together; NaN without attempts."""
    tried = int(np.sum(draws))
    return float(np.sum(hits)) / tried if tried else float("nan")


def undetected_rate(clusters: int, power: float = 0.95) -> float:
    """The smallest rate that would have given a hit with probability ``power``: 1 − (1 − power)^(1/clusters).

    For one attempt a cluster, or several that are perfectly correlated; 1 without clusters.
    """
    return float(1 - (1 - power) ** (1 / clusters)) if clusters else 1.0


def _combined(one: float, other: float, r: float) -> float:
    return float(np.sqrt(max(0.0, one**2 - 2 * r * one * other + other**2)))


def _correlation(one: Floats, other: Floats) -> float:
    """Pearson's correlation, at least 0; 0 where either is constant."""
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return max(0.0, float(np.corrcoef(one, other)[0, 1]))


def _exact(hits: int, trials: int, level: float) -> tuple[float, float]:
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, trials - hits + 1))
    return low, 1.0 if hits == trials else float(beta.ppf(1 - tail, hits + 1, trials - hits))


def _log_likelihood(hits: Ints, draws: Ints) -> Floats:
    """Beta-binomial log-likelihood (rate, correlation), without the binomial coefficients."""
    total = np.zeros((len(RATES), len(CORRELATIONS)))
    pairs, counts = np.unique(np.stack([hits, draws]), axis=1, return_counts=True)
    for (hit, tried), count in zip(pairs.T.tolist(), counts.tolist()):
        total += count * _log_terms(tried)[hit]
    return total


@functools.lru_cache(maxsize=64)
def _log_terms(draws: int) -> Floats:
    """The same of one cluster (hits, rate, correlation) for 0 … ``draws`` hits."""
    scale = (1 - CORRELATIONS) / CORRELATIONS
    first, second = RATES[:, None] * scale, (1 - RATES)[:, None] * scale
    hits = np.arange(draws + 1)[:, None, None]
    return np.asarray(betaln(first + hits, second + draws - hits) - betaln(first, second))
