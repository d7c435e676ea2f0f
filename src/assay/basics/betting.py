# SPDX-License-Identifier: Apache-2.0
"""An interval for the mean of bounded numbers that holds at its level whatever their distribution."""

from __future__ import annotations

import numpy as np

from assay.basics.types import Floats

TRUNCATION = 0.5
"""No bet risks more than this share of the capital."""
HALVINGS = 50
"""Bisections of the range; the end that has been refuted is given, so that rounding never narrows the interval."""


def betting(values: Floats, least: float, most: float, miss: float) -> tuple[Floats, Floats]:
    """Limits (…) of the mean of independent draws (draw, …) in [``least``, ``most``], missed with chance ≤ ``miss``.

    The hedged-capital interval of Waudby-Smith and Ramdas: against each candidate mean m one bets that the draws lie
    above it, with half of the capital, and below it with the other half. If m is the mean, neither capital grows to
    1/miss with more than that chance (Ville), at any time. Stakes come from the draws before: √(2 ln(2/miss) /
    (σ̂² draws)), the choice for which the width is asymptotically that of a Bernstein interval with the true variance
    and no term for estimating it.
    """
    x = (values - least) / (most - least)
    draws = len(x)
    count = np.arange(1, draws + 1).reshape(-1, *(1,) * (x.ndim - 1))
    mean = (0.5 + np.cumsum(x, axis=0)) / (count + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2, axis=0)) / (count + 1)
    before = np.concatenate([np.full((1, *x.shape[1:]), 0.25), variance[:-1]])
    stake = np.sqrt(2 * np.log(2 / miss) / (before * draws))
    goal = np.log(2 / miss)  # half of the capital stands on either side
    return (
        least + (most - least) * _refuted(x, stake, goal),
        most - (most - least) * _refuted(1 - x, stake, goal),
    )


def _refuted(x: Floats, stake: Floats, goal: float) -> Floats:
    """The largest m found in [0, 1] against which betting on more reaches the goal; less capital the larger m."""
    low, high = np.zeros(x.shape[1:]), np.ones(x.shape[1:])
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        gain = np.log1p(np.minimum(stake, TRUNCATION / middle) * (x - middle))
        won = np.cumsum(gain, axis=0).max(axis=0) >= goal
        low, high = np.where(won, middle, low), np.where(won, high, middle)
    return np.asarray(low)
