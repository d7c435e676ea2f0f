# SPDX-License-Identifier: Apache-2.0
"""The logistic loss of a weighted binary table, and its minimum over a box of coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from assay.basics.types import Floats, Masks

STEPS = 25
"""Newton steps of a relaxation at most; a bound is valid after any number of them."""


@dataclass(frozen=True, eq=False)
class LogisticLoss:
    """Mean log loss of coefficients (column,) at distinct rows ``x`` (row, column).

    ``positive`` and ``negative`` (row,) are shares of all original rows: those of the second class and of the first.
    """

    x: Floats
    positive: Floats
    negative: Floats

    def __call__(self, coefficients: Floats) -> float:
        """Σ over rows of positive · log(1 + e^−s) + negative · log(1 + e^s), s = x · coefficients."""
        return float(self.of_scores(self.x @ coefficients))

    def of_scores(self, scores: Floats) -> Floats:
        """The loss of scores (row,), or of several (row, candidate) at once."""
        small = np.log1p(np.exp(-np.abs(scores)))
        above, below = np.maximum(scores, 0), np.maximum(-scores, 0)
        return np.asarray(self.positive @ (small + below) + self.negative @ (small + above))

    def gradient(self, coefficients: Floats) -> Floats:
        """The gradient (column,)."""
        risk = expit(self.x @ coefficients)
        return np.asarray(self.x.T @ (self.negative * risk - self.positive * (1 - risk)))

    def relaxed(self, low: Floats, high: Floats, start: Floats, slope: Floats) -> Floats:
        """Coefficients in the box [low, high] that nearly minimise loss + ``slope`` · coefficients.

        By projected Newton steps from ``start``. The result is in the box; how near it is to the minimum is not said.
        """
        at = np.clip(start, low, high)
        value = self(at) + slope @ at
        for _ in range(STEPS):
            scores = self.x @ at
            risk = expit(scores)
            gradient = self.x.T @ (self.negative * risk - self.positive * (1 - risk)) + slope
            free = ~(((at <= low) & (gradient > 0)) | ((at >= high) & (gradient < 0))) & (high > low)
            if not free.any() or np.abs(gradient[free]).max() < 1e-7:
                break
            step = self._newton_step(risk, gradient, free, at <= low, at >= high)
            at, value, moved = self._search(at, value, step, gradient, slope, low, high)
            if not moved:
                break
        return at

    def _newton_step(self, risk: Floats, gradient: Floats, free: Masks, at_low: Masks, at_high: Masks) -> Floats:
        """The Newton step of the free coordinates that leaves the box nowhere, or where there is none, along each."""
        curvature = (self.positive + self.negative) * risk * (1 - risk)
        columns = self.x[:, free]
        hessian = columns.T @ (columns * curvature[:, None])
        hessian[np.diag_indices_from(hessian)] += 1e-9 + 1e-6 * hessian.diagonal()
        places, kept = np.flatnonzero(free), np.arange(free.sum())
        while len(kept):
            step = np.zeros(len(gradient))
            step[places[kept]] = -np.linalg.solve(hessian[np.ix_(kept, kept)], gradient[places[kept]])
            blocked = (at_low & (step < 0)) | (at_high & (step > 0))
            if not blocked.any():
                return step
            kept = kept[~blocked[places[kept]]]
        step = np.zeros(len(gradient))
        step[places] = -gradient[places] / hessian.diagonal()
        return step

    def _search(
        self, at: Floats, value: float, step: Floats, gradient: Floats, slope: Floats, low: Floats, high: Floats
    ) -> tuple[Floats, float, bool]:
        """The first of halved projected steps that lowers the value enough."""
        for size in 0.5 ** np.arange(12):
            new = np.clip(at + size * step, low, high)
            found = self(new) + slope @ new
            if found <= value + 1e-4 * float(gradient @ (new - at)) and found < value - 1e-13:
                return new, found, True
        return at, value, False
