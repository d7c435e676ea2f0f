# SPDX-License-Identifier: Apache-2.0
"""How many further rows decide a check that compares the rates of several groups."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.paired_tests import MAX_TIMES
from assay.basics.seed import Seed
from assay.basics.stats import Basis
from assay.basics.types import Floats, Masks

PREDICTED = 0.87
"""Predicted probability of a decision; where groups hardly differ or rows are few, up to 8 % fewer are decided."""

DRAWS = 400
"""Draws of the groups' true rates."""

MAX_SPREAD = 2.0
"""The largest standard deviation of the groups' log-odds."""

STEP = 1.1
"""Numbers of rows are searched up to this factor."""


def rows_to_decide_rates(basis: Basis, level: float, threshold: float) -> int | None:
    """Number of further rows with which the largest gap or smallest ratio of groups' rates is decided.

    The groups' true rates are drawn from what their counts say of them, as one population of log-odds whose spread is
    unknown (Gelman et al. 2013, section 5.4), since the extreme of several observed rates is extreme partly by chance.
    Further rows come in the present proportions, and the verdict is that of normal limits for all pairs,
    Bonferroni-corrected as the interval is. The smallest number, up to 10 %, that
    decides in a share of ``PREDICTED`` of the draws; ``None`` beyond 1,000 times the present rows.
    """
    hits, trials = (np.asarray(basis.data[name], dtype=np.float64) for name in ("hits", "trials"))
    generator = Seed(0).child("further rows").generator()
    if not 0 < threshold < 1:
        return None
    rates = _draw_rates(hits, trials, generator)
    pairs = np.array(list(combinations(range(len(hits)), 2))).T
    c = float(scipy_stats.norm.ppf(1 - (1 - level) / 2 / pairs.shape[1]))
    judged = _gaps_decided if basis.how == "pairs" else _ratios_decided
    noise = generator.normal(size=rates.shape)

    def share(times: float) -> float:
        further = times * trials
        drawn = np.clip(further * rates + noise * np.sqrt(further * rates * (1 - rates)), 0, further)
        return float(judged(hits + drawn, trials + further, pairs, c, threshold).mean())

    low, high = 1 / trials.sum(), float(MAX_TIMES)
    if share(high) < PREDICTED:
        return None
    while high > low * STEP:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if share(middle) >= PREDICTED else (middle, high)
    return math.ceil(high * trials.sum())


def _draw_rates(hits: Floats, trials: Floats, generator: np.random.Generator) -> Floats:
    """Draws (draw, group) of the true rates: spread between groups, their mean, and each given both."""
    odds = np.log((hits + 0.5) / (trials - hits + 0.5))
    error = 1 / (hits + 0.5) + 1 / (trials - hits + 0.5)
    spreads = np.linspace(0.0, MAX_SPREAD, 200)
    total = error + spreads[:, None] ** 2
    precision = (1 / total).sum(axis=1)
    mean = (odds / total).sum(axis=1) / precision
    logs = -0.5 * (np.log(total) + (odds - mean[:, None]) ** 2 / total).sum(axis=1) - 0.5 * np.log(precision)
    chosen = generator.choice(len(spreads), DRAWS, p=np.exp(logs - logs.max()) / np.exp(logs - logs.max()).sum())
    common = generator.normal(mean[chosen], 1 / np.sqrt(precision[chosen]))[:, None]
    shrink = spreads[chosen, None] ** 2 / total[chosen]
    drawn = generator.normal(common + shrink * (odds - common), np.sqrt(shrink * error))
    return np.asarray(1 / (1 + np.exp(-drawn)))


def _gaps_decided(hits: Floats, trials: Floats, pairs: Floats, c: float, threshold: float) -> Masks:
    total = trials + c**2 / 2  # Agresti and Caffo's added rows, at this level
    rates = (hits + c**2 / 4) / total
    spread = rates * (1 - rates) / total
    one, two = pairs
    gap, error = np.abs(rates[:, one] - rates[:, two]), c * np.sqrt(spread[:, one] + spread[:, two])
    return _decided((gap - error).max(axis=1), (gap + error).max(axis=1), threshold)


def _ratios_decided(hits: Floats, trials: Floats, pairs: Floats, c: float, threshold: float) -> Masks:
    logs = np.log((hits + 0.5) / (trials + 0.5))
    spread = 1 / (hits + 0.5) - 1 / (trials + 0.5)
    one, two = pairs
    ratio, error = -np.abs(logs[:, one] - logs[:, two]), c * np.sqrt(spread[:, one] + spread[:, two])
    return _decided((ratio - error).min(axis=1), (ratio + error).min(axis=1), math.log(threshold))


def _decided(low: Floats, high: Floats, threshold: float) -> Masks:
    return np.asarray((low > threshold) | (high <= threshold))
