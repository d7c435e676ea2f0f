# SPDX-License-Identifier: Apache-2.0
"""Where the largest gap or smallest ratio of groups lies where the groups do not differ."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.seed import Seed
from assay.basics.stats import Interval
from assay.basics.types import Floats, Ints

DRAWS = 2000
"""Permutations that are drawn."""

MAX_PERMUTED = 20_000_000
"""Most values that are permuted one by one: rows × draws."""


def permuted_hits(hits: Ints, trials: Ints, seed: Seed) -> Ints:
    """Hits (draw, group) after the rows of all groups change places at random: multivariate hypergeometric, exactly."""
    generator = seed.generator()
    drawn = generator.multivariate_hypergeometric(np.asarray(trials), int(np.sum(hits)), DRAWS, method="marginals")
    return np.asarray(drawn)


def null_gap(hits: Ints, trials: Ints, level: float, seed: Seed, part: Any = 0) -> Interval:
    """Where the largest gap of rates within a ``part`` lies, at ``level``, if the group of a row says nothing of it.

    Rows change their group at random among the rows that are counted in the same rate. So the selection rate is that
    of all rows, and error rates are those of rows with the same label.
    """
    parts = np.zeros(len(hits)) + part
    found = np.zeros(DRAWS)
    for number, one in enumerate(np.unique(parts)):
        own = parts == one
        rates = permuted_hits(hits[own], trials[own], seed.child(number)) / trials[own]
        found = np.maximum(found, np.ptp(rates, axis=1))
    return Interval(0.0, float(np.quantile(found, level, method="higher")), level, "permuted groups")


def null_ratio(hits: Ints, trials: Ints, level: float, seed: Seed) -> Interval:
    """Where the smallest ratio of rates lies, at ``level``, if groups change places at random; see ``null_gap``."""
    rates = permuted_hits(hits, trials, seed) / trials
    most = rates.max(axis=1)
    ratios = np.where(most > 0, rates.min(axis=1) / np.where(most > 0, most, 1), 1.0)
    return Interval(float(np.quantile(ratios, 1 - level, method="lower")), 1.0, level, "permuted groups")


def null_calibration_gap(
    chances: Floats, trials: Ints, part: Ints, residual: Floats, level: float, seed: Seed
) -> Interval:
    """Where the largest gap of mean residuals lies if the groups of a part have the same mean ``residual`` (group,).

    Events are binomial around ``chances`` (group,), the mean probability, plus the residual of the part.
    """
    rates = np.clip(chances + residual, 0.0, 1.0)
    drawn = seed.generator().binomial(trials, rates, size=(DRAWS, len(trials))) / trials - chances
    gaps = [np.ptp(drawn[:, part == one], axis=1) for one in np.unique(part)]
    return Interval(0.0, float(np.quantile(np.max(gaps, axis=0), level)), level, "binomial")


def null_mean_gap(values: Floats, group: Ints, level: float, seed: Seed) -> Interval:
    """Where the largest gap of group means of ``values`` (row,) lies, at ``level``, if groups change places."""
    generator, sizes = seed.generator(), np.bincount(group)
    draws = int(np.clip(MAX_PERMUTED // len(values), 100, DRAWS))
    found = [
        np.ptp((np.bincount(group, generator.permutation(values), len(sizes)) / sizes)[sizes > 0]) for _ in range(draws)
    ]
    return Interval(0.0, float(np.quantile(found, level, method="higher")), level, "permuted groups")
