# SPDX-License-Identifier: Apache-2.0
"""The share of labels that are wrong beyond what a model's own probabilities explain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats as scipy_stats
from scipy.optimize import minimize
from scipy.special import expit, logit

from assay.basics.optional import need
from assay.basics.samples.profile_limits import profile_limits
from assay.basics.types import Floats, Ints, Masks

GRID = 49
"""Shares at which the likelihood is computed."""

_LEAST = 1e-9


def log_odds_of_decision(probabilities: Floats) -> Floats:
    """Log odds (row,) of the most probable class, at most ln(9999)."""
    return np.asarray(logit(np.clip(probabilities.max(axis=1), 1e-6, 1 - 1e-4)))


@dataclass(frozen=True, eq=False)
class WrongLabelShare:
    """P(label ≠ decision) = λ + (1 − λ) σ(b − a m), by the log odds m of the decision: a border, and a share λ.

    Near a border between classes, labels contradict the model as often as its probabilities say, and ever less where it
    is surer. Wrong labels contradict it everywhere: that part does not vanish. ``grid`` (share,) and ``likelihood``
    (share,) are the profile over a ≥ 0 and b.
    """

    scores: Floats
    contradicts: Masks
    grid: Floats
    likelihood: Floats
    parameters: Floats

    @classmethod
    def fit(cls, probabilities: Floats, labels: Ints) -> WrongLabelShare:
        """Fit to out-of-fold probabilities (row, class) and the labels (row,)."""
        raw = log_odds_of_decision(probabilities)
        scores = (raw - raw.mean()) / (float(raw.std()) or 1.0)
        contradicts = np.asarray(probabilities.argmax(axis=1) != labels)
        rate = float(contradicts.mean())
        grid = np.linspace(0, 1, GRID) ** 1.5 * min(1.3 * rate + 0.02, 0.95)
        start = np.array([0.0, float(logit(np.clip(rate, 1e-3, 0.9)))])
        found, parameters = np.empty(GRID), np.empty((GRID, 2))
        with need("threadpoolctl", extra="trees").threadpool_limits(1):  # two numbers: threads would only wait
            for place, share in enumerate(grid):
                fits = [_fit(scores, contradicts, share, one) for one in (start, np.array([1.0, -2.0]))]
                found[place], start = max(fits, key=lambda fit: fit[0])
                parameters[place] = start
        return cls(scores, contradicts, grid, found, parameters)

    @cached_property
    def estimate(self) -> float:
        """The median of λ under the normalised profile likelihood.

        Its maximum is at 0 by chance where the likelihood is flat: where all scores are about equal, λ and the border
        explain the same.
        """
        weights = np.exp(self.likelihood - self.likelihood.max())
        mass = np.concatenate([[0.0], np.cumsum((weights[1:] + weights[:-1]) / 2 * np.diff(self.grid))])
        return float(np.interp(mass[-1] / 2, mass, self.grid))

    @cached_property
    def border(self) -> Floats:
        """Probability (row,) that a right label contradicts the decision, for λ = ``estimate``."""
        return _border(self.scores, self.parameters[int(np.abs(self.grid - self.estimate).argmin())])

    @cached_property
    def probability_wrong(self) -> Floats:
        """Probability (row,) that the label is wrong: λ / (λ + (1 − λ) σ) where it contradicts the decision, else 0."""
        share = self.estimate
        return np.where(self.contradicts, share / np.maximum(share + (1 - share) * self.border, _LEAST), 0.0)

    def limits(self, level: float) -> tuple[float, float]:
        """Limits of λ by its profile likelihood."""
        return profile_limits(self.grid, self.likelihood[None], level)

    def limit_without_wrong_labels(self, level: float) -> float:
        """Where the estimate lies below if no label is wrong, from the information at λ = 0 (a one-sided limit)."""
        border = np.clip(self.border, _LEAST, 1 - _LEAST)
        slope = border * (1 - border)
        derivatives = np.stack([1 - border, -slope * self.scores, slope], axis=1)
        information = (derivatives / slope[:, None]).T @ derivatives
        variance = float(np.linalg.pinv(information)[0, 0])
        return float(min(scipy_stats.norm.ppf(level) * np.sqrt(max(variance, 0.0)), 1.0))


def _border(scores: Floats, parameters: Floats) -> Floats:
    return np.asarray(expit(parameters[1] - np.exp(parameters[0]) * scores))


def _fit(scores: Floats, contradicts: Masks, share: float, start: Floats) -> tuple[float, Floats]:
    """The largest log likelihood over slope and offset, and where it is."""

    def loss(parameters: Floats) -> tuple[float, Floats]:
        border = _border(scores, parameters)
        p = np.clip(share + (1 - share) * border, _LEAST, 1 - _LEAST)
        pull = np.where(contradicts, 1 / p, -1 / (1 - p)) * (1 - share) * border * (1 - border)
        value = np.log(np.where(contradicts, p, 1 - p)).sum()
        return -float(value), -np.array([(-pull * np.exp(parameters[0]) * scores).sum(), pull.sum()])

    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-6, 4), (-15, 5)])
    return -float(found.fun), np.asarray(found.x)
