# SPDX-License-Identifier: Apache-2.0
"""A betting confidence interval for the mean of bounded draws, valid for every distribution."""

from __future__ import annotations

import numpy as np

from assay.basics.types import Floats

TRUNCATION = 0.5
"""Largest share of the capital that one bet risks."""
BISECTIONS = 50
"""Number of bisections of the range; the refuted end is returned, so that rounding never narrows the interval."""


def betting_interval(
    values: Floats, least: float, most: float, miss: float, horizon: int | None = None
) -> tuple[Floats, Floats]:
    """Limits (…) for the mean of independent draws (draw, …) in [``least``, ``most``]; error probability ≤ ``miss``.

    The hedged-capital interval of Waudby-Smith and Ramdas: for each candidate mean m, half of the capital bets that the
    draws exceed m, and the other half that they are below it. If m is the mean, the probability that the capital ever
    reaches 1/miss is at most ``miss`` (Ville). The stakes depend on the previous draws only: √(2 ln(2/miss) / (σ̂²
    draws)), for which the width is asymptotically that of a Bernstein interval with the true variance and no term for
    estimating it.

    With a ``horizon``, the most draws there can be, the stakes are those of so many draws. The limits after each number
    of draws then hold at once with that probability, so that one may look after every draw, and stop.
    """
    x = (values - least) / (most - least)
    draws = len(x)
    count = np.arange(1, draws + 1).reshape(-1, *(1,) * (x.ndim - 1))
    mean = (0.5 + np.cumsum(x, axis=0)) / (count + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2, axis=0)) / (count + 1)
    before = np.concatenate([np.full((1, *x.shape[1:]), 0.25), variance[:-1]])
    stake = np.sqrt(2 * np.log(2 / miss) / (before * (horizon or draws)))
    goal = np.log(2 / miss)  # each side has half of the capital
    return (
        least + (most - least) * _refuted_bound(x, stake, goal),
        most - (most - least) * _refuted_bound(1 - x, stake, goal),
    )


def _refuted_bound(x: Floats, stake: Floats, goal: float) -> Floats:
    """The largest m in [0, 1] for which betting on a larger mean reaches ``goal``; the capital decreases in m."""
    low, high = np.zeros(x.shape[1:]), np.ones(x.shape[1:])
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        gain = np.log1p(np.minimum(stake, TRUNCATION / middle) * (x - middle))
        won = np.cumsum(gain, axis=0).max(axis=0) >= goal
        low, high = np.where(won, middle, low), np.where(won, high, middle)
    return np.asarray(low)
