# SPDX-License-Identifier: Apache-2.0
"""What a membership attack achieves: rates at a low false-positive rate, the ROC curve, precision at a prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.stats import Interval, auc, auc_interval, clopper_pearson
from assay.basics.types import Floats

LEAST_ALARMS = 10
"""False positives below which a false-positive rate is not estimated."""


@dataclass(frozen=True)
class AttackRates:
    """Members and other rows that an attack calls members, at its threshold.

    ``hits`` of ``inside`` members score above ``threshold``, and ``alarms`` of ``outside`` other rows; ``allowed`` is
    the number of alarms that the false-positive rate allows.
    """

    hits: int
    alarms: int
    inside: int
    outside: int
    allowed: int
    threshold: float

    @property
    def true_rate(self) -> float:
        """True-positive rate."""
        return self.hits / self.inside

    @property
    def false_rate(self) -> float:
        """False-positive rate, at most the one asked for."""
        return self.alarms / self.outside

    def limits(self, level: float) -> tuple[Interval, Interval]:
        """Clopper–Pearson limits of the true-positive and of the false-positive rate."""
        return clopper_pearson(self.hits, self.inside, level), clopper_pearson(self.alarms, self.outside, level)

    def null_interval(self, level: float) -> Interval:
        """Where the true-positive rate lies if members and other rows have the same scores.

        Then the number of members above the largest score but ``allowed`` of the others is beta-binomial, exactly
        without ties. It is wider than a binomial around the false-positive rate: the threshold is random too.
        """
        null = scipy_stats.betabinom(self.inside, self.allowed + 1, self.outside - self.allowed)
        low, high = (float(null.ppf(q)) / self.inside for q in ((1 - level) / 2, (1 + level) / 2))
        return Interval(low, high, level, "exchangeable scores")

    def precision(self, prior: float) -> float:
        """P(member | called a member) where a share ``prior`` of all candidates are members; NaN without calls."""
        called = prior * self.true_rate + (1 - prior) * self.false_rate
        return prior * self.true_rate / called if called > 0 else float("nan")


def least_rate(outside: int) -> float:
    """The smallest false-positive rate that so many rows outside support: 10 / m."""
    return LEAST_ALARMS / outside


def rates_at(inside: Floats, outside: Floats, rate: float) -> AttackRates:
    """The rates of the attack that calls rows with high scores members, at a false-positive rate of at most ``rate``.

    ``InputError`` where fewer than ten false positives are allowed. Rows that share the score of the first alarm too
    many are not called members.
    """
    if not 0 < rate < 1:
        raise InputError(f"rate={rate}; a false-positive rate lies between 0 and 1.")
    allowed = int(np.floor(rate * len(outside) + 1e-9))
    if allowed < LEAST_ALARMS:
        raise InputError(
            f"{len(outside)} unseen rows support no false-positive rate below {least_rate(len(outside)):.2%}; "
            f"{rate:.2%} needs at least {int(np.ceil(LEAST_ALARMS / rate - 1e-9))} of them."
        )
    if allowed >= len(outside):
        raise InputError(f"{len(outside)} unseen rows are too few; more than {LEAST_ALARMS} are needed.")
    threshold = float(np.sort(outside)[::-1][allowed])
    return AttackRates(
        hits=int((inside > threshold).sum()),
        alarms=int((outside > threshold).sum()),
        inside=len(inside),
        outside=len(outside),
        allowed=allowed,
        threshold=threshold,
    )


def area_above(inside: Floats, outside: Floats, level: float) -> tuple[float, Interval]:
    """P(score of a member > score of another row), ties counted half, with Newcombe's interval."""
    area = auc(outside, inside)
    return area, auc_interval(area, len(inside), len(outside), level)


def area_without_effect(count: int, other: int, level: float) -> Interval:
    """Where the area lies if the scores are exchangeable: ½ ± z √((n + m + 1) / (12 n m)) (Mann and Whitney 1947)."""
    half = float(scipy_stats.norm.ppf((1 + level) / 2) * np.sqrt((count + other + 1) / (12 * count * other)))
    return Interval(0.5 - half, 0.5 + half, level, "mann-whitney")


def roc_points(inside: Floats, outside: Floats, points: int = 40) -> list[list[float]]:
    """At most ``points`` pairs (false, true positive rate) from (0, 0) to (1, 1), dense at low false-positive rates."""
    count = len(outside)
    spread = np.unique(np.round(np.geomspace(1, count, points - 2)).astype(int))
    order = np.sort(outside)[::-1]
    pairs = [(float((outside >= order[k - 1]).mean()), float((inside >= order[k - 1]).mean())) for k in spread]
    return [[0.0, 0.0], *([round(f, 6), round(t, 6)] for f, t in sorted(set(pairs))), [1.0, 1.0]]
