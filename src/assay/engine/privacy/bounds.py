# SPDX-License-Identifier: Apache-2.0
"""What differential privacy allows a membership attack, and what an attack says about ε."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.samples.privacy_limits import privacy_loss_limits
from assay.basics.types import Array, Floats, Ints

VACUOUS_FROM = float(np.log(2))
"""ε from which the bound e^ε − 1 is 1 or more, so that no attack can exceed it."""

MOST_THRESHOLDS = 400
"""Thresholds of the loss among which an audit chooses."""

Relation = Literal["add-remove", "replace-one"]
"""Which data sets differential privacy compares: with and without a row, or with a row replaced by another."""


def check_budget(epsilon: float, delta: float) -> None:
    """Raise ``InputError`` unless ε is finite and above 0, and 0 ≤ δ < 1."""
    if not (0 < epsilon < np.inf and 0 <= delta < 1):
        raise InputError(f"epsilon={epsilon}, delta={delta}; needed are a finite ε above 0 and 0 ≤ δ < 1.")


def advantage_bound(epsilon: float, delta: float = 0.0) -> float:
    """The most that TPR − FPR of any attack can be under (ε, δ): (e^ε − 1 + 2δ) / (e^ε + 1), at most 1."""
    check_budget(epsilon, delta)
    return min(1.0, float(np.tanh(epsilon / 2) + 2 * delta * np.exp(-epsilon) / (1 + np.exp(-epsilon))))


def exponential_bound(epsilon: float) -> float:
    """e^ε − 1 (Yeom et al. 2018): correct for δ = 0, and 1 or more, which says nothing, from ε = ln 2 = 0.693 on."""
    return float(np.expm1(min(epsilon, 700.0)))


def rate_bound(false_rate: Array, epsilon: float, delta: float = 0.0) -> Floats:
    """The most that the TPR of any attack can be at each FPR under (ε, δ), both 0 … 1.

    min(e^ε · FPR + δ, 1 − e^−ε (1 − δ − FPR)), between 0 and 1: the second bounds the attack that says the opposite.
    """
    check_budget(epsilon, delta)
    rate = np.asarray(false_rate, dtype=np.float64)
    near = np.exp(min(epsilon, 700.0)) * rate + delta
    far = 1 - np.exp(-epsilon) * (1 - delta - rate)
    return np.clip(np.minimum(near, far), 0.0, 1.0)


def comparable_budget(epsilon: float, delta: float, relation: Relation) -> tuple[float, float]:
    """The (ε, δ) that a membership attack on a random split can be compared with.

    A row that is in the training set or not, while another takes its place, is a row replaced: a guarantee for rows
    added or removed then holds twice, with 2ε and (1 + e^ε) δ.
    """
    check_budget(epsilon, delta)
    if relation not in ("add-remove", "replace-one"):
        raise InputError(f"relation={relation!r}; there are 'add-remove' (that of Opacus) and 'replace-one'.")
    if relation == "replace-one":
        return epsilon, delta
    return 2 * epsilon, min(float(delta * (1 + np.exp(min(epsilon, 700.0)))), 1 - 1e-12)


@dataclass(frozen=True)
class Guess:
    """A rule that says "member" of rows on one side of a threshold of the loss, or "not a member" on the other."""

    threshold: float
    of_members: bool

    def counts(self, inside: Floats, outside: Floats) -> tuple[Ints, Ints]:
        """Rows that the rule names, of the kind it names and of the other (2,), and how many there are (2,)."""
        if self.of_members:
            named = [(inside <= self.threshold).sum(), (outside <= self.threshold).sum()]
            return np.array(named), np.array([len(inside), len(outside)])
        named = [(outside > self.threshold).sum(), (inside > self.threshold).sum()]
        return np.array(named), np.array([len(outside), len(inside)])


def best_guess(inside: Floats, outside: Floats, delta: float, level: float) -> Guess:
    """The rule whose lower limit of ε is the largest on these rows; it must be evaluated on others."""
    values = np.unique(np.concatenate([inside, outside]))
    if len(values) > MOST_THRESHOLDS:
        values = np.unique(np.quantile(values, np.linspace(0, 1, MOST_THRESHOLDS), method="lower"))
    below = [np.searchsorted(np.sort(side), values, side="right") for side in (inside, outside)]
    member = _lowest_epsilon(below[0], len(inside), below[1], len(outside), delta, level)
    other = _lowest_epsilon(len(outside) - below[1], len(outside), len(inside) - below[0], len(inside), delta, level)
    of_members = bool(member.max() >= other.max())
    return Guess(float(values[int((member if of_members else other).argmax())]), of_members)


def _lowest_epsilon(hits: Ints, trials: int, alarms: Ints, others: int, delta: float, level: float) -> Floats:
    """ln((TPR_lo − δ) / FPR_hi) for many thresholds; −∞ where TPR_lo ≤ δ."""
    tail = (1 - level) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(hits > 0, scipy_stats.beta.ppf(tail, hits, trials - hits + 1), 0.0)
        high = np.where(alarms < others, scipy_stats.beta.ppf(1 - tail, alarms + 1, others - alarms), 1.0)
        return np.where(low > delta, np.log(np.maximum(low - delta, 0.0) / high), -np.inf)


def audited_epsilon(
    inside: Floats, outside: Floats, half: Ints, other_half: Ints, *, delta: float = 0.0, level: float = 0.95
) -> tuple[float, Guess]:
    """A lower limit of the ε of the training, from losses of members and of other rows, and the rule it comes from.

    ε̂ = ln((TPR_lo − δ) / FPR_hi), with Clopper–Pearson limits on the rows of half 1; the rule is chosen on those of
    half 0. Of a training with (ε, δ), ε̂ exceeds ε in at most a share 1 − ``level`` of audits. −∞ where nothing is
    shown.
    """
    guess = best_guess(inside[half == 0], outside[other_half == 0], delta, level)
    hits, trials = guess.counts(inside[half == 1], outside[other_half == 1])
    return privacy_loss_limits(hits, trials, delta, level)[0], guess


def one_run_epsilon(right: int, guesses: int, level: float = 0.95) -> float:
    """A lower limit of ε from ``right`` of ``guesses`` about rows that were each included with probability ½.

    The largest ε with P(Binomial(guesses, e^ε / (1 + e^ε)) ≥ right) ≤ 1 − level, for δ = 0 (Steinke et al. 2023); 0
    where nothing is shown.
    """
    if not 0 <= right <= guesses:
        raise InputError(f"{right} right guesses of {guesses}; there are at most as many as guesses.")
    if not right:
        return 0.0
    share = float(scipy_stats.beta.ppf(1 - level, right, guesses - right + 1))
    return max(0.0, float(np.log(share / (1 - share))))
