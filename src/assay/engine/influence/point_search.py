# SPDX-License-Identifier: Apache-2.0
"""The search for a changed training row that turns predictions: ascent by influence, with a refit after every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from array_api_compat import array_namespace

from assay.basics.types import Array, Floats, Ints
from assay.cases.case import Case
from assay.engine.influence.linear_fit import LinearFit
from assay.engine.influence.point_changes import ChangedFit, PointChanges
from assay.engine.influence.point_inputs import HeadInputs, Region
from assay.engine.search.threat import Goal

TRIAL, TRIAL_STEP = 2, 0.5
"""Steps by which candidates are tried, and their size in radii."""

MOMENTUM = 0.5
"""Weight of the earlier derivatives at each step."""

SEARCHED = 1e-8
"""The gradient, as a share of the training rows' own, to which the head is refitted during the search."""


@dataclass(frozen=True, eq=False)
class PointAim:
    """The tests that one changed training row is aimed at, and the position of the row."""

    tests: Ints
    row: int


@dataclass(eq=False)
class PointResult:
    """The best changed rows so far (aim, *shape), and how good they are (aim,): less is better."""

    x: Array
    score: Floats


@dataclass(frozen=True, eq=False)
class PointSearch:
    """Training rows whose head is refitted, and the tests whose decisions a changed row is to turn."""

    goal: Goal
    train: Case
    changes: PointChanges
    inputs: HeadInputs
    region: Region

    @property
    def fit(self) -> LinearFit:
        """The fit of the unchanged rows at its optimum."""
        return self.changes.fit

    def margins(self, weights: Floats, tests: Ints) -> Floats:
        """Margins (test,) of the decisions for the labels by these weights (out, column); below 0 it is turned.

        Differences of the head's scores, which do not saturate as probabilities do.
        """
        if self.fit.link == "identity" or self.goal.case.model.kind.threshold is not None:
            return self.goal.search_margins(self.outputs(weights, tests), tests)
        scores, label = self.fit.tests[tests] @ weights.T, self.goal.label[tests]
        if self.fit.link == "sigmoid":
            return np.asarray((2 * label - 1) * scores[:, 0])
        own = scores[np.arange(len(tests)), label]
        others = np.where(np.arange(scores.shape[1]) == label[:, None], -np.inf, scores)
        return np.asarray(own - others.max(axis=1))

    def outputs(self, weights: Floats, tests: Ints) -> Floats:
        """The model's outputs (test, out) with these weights of its head."""
        return self.fit.outputs(self.fit.tests[tests] @ weights.T)

    def score(self, weights: Floats, tests: Ints) -> float:
        """What the search lowers: the margin of one test; of several the number that is not turned, then the mean."""
        margins = self.margins(weights, tests)
        if len(tests) == 1:
            return float(margins[0])
        return float((margins >= 0).sum() + 0.5 * (1 + np.tanh(margins.mean())))

    def test_gradient(self, weights: Floats, tests: Ints) -> Floats:
        """The gradient (out, column) of what the search raises by the weights: the cross-entropy of one test.

        Of several the sum of the probabilities of other classes than their labels, which counts those near a turn most.
        """
        rows, label = self.fit.tests[tests], self.goal.label[tests]
        scores = rows @ weights.T
        slopes = self.fit.slopes_at(scores, label)
        if len(tests) > 1:
            found = self.fit.probabilities(scores)
            found = np.concatenate([1 - found, found], axis=1) if self.fit.link == "sigmoid" else found
            slopes = slopes * found[np.arange(len(tests)), label][:, None]
        return np.asarray(slopes.T @ rows)

    def best_rows(self, groups: Sequence[Ints], candidates: int) -> list[PointAim]:
        """For each group of tests the training row that turns most of it after ``TRIAL`` large steps.

        ``candidates`` rows are tried: those of the largest ``influence_at_full_loss``.
        """
        aims: list[PointAim] = []
        for tests in groups:
            size = self.influence_at_full_loss(tests)
            aims += [PointAim(tests, int(row)) for row in np.argsort(-size, kind="stable")[:candidates]]
        if candidates == 1:
            return aims
        score = self.run(aims, TRIAL, TRIAL_STEP).score.reshape(len(groups), -1)
        return [aims[place * score.shape[1] + int(best)] for place, best in enumerate(score.argmin(axis=1))]

    def influence_at_full_loss(self, tests: Ints) -> Floats:
        """−∇L(tests)ᵀ H⁻¹ ∇ℓ (row,) of each training row, were its own label given probability 0.

        A head that fits every row has no slope there, so that its influence as it is says little; a row counts once it
        looks like a test of another label.
        """
        slopes = np.full(self.fit.slopes.shape, 1.0 / max(1, len(self.fit.weights) - 1))
        if self.fit.link == "sigmoid":
            slopes[:, 0] = 1.0 - 2.0 * np.asarray(self.fit.labels)
        else:
            slopes[np.arange(len(slopes)), self.fit.labels] = -1.0
        direction = self._base.solve(self.test_gradient(self.fit.weights, tests)[None])[0]
        return np.asarray(-self.fit.importance * (slopes * (self.fit.x @ direction.T)).sum(axis=1))

    @cached_property
    def _base(self) -> ChangedFit:
        """The fit of the unchanged rows in the basis of its rows."""
        return self.changes.with_row(0, self.fit.x[0])

    def refit(self, row: int, read: Floats, weights: Floats | None = None) -> ChangedFit:
        """The head refitted to the rows with ``read`` (column,) in the place of ``row``."""
        return self.changes.with_row(row, read, weights=weights).refitted(SEARCHED)

    def run(self, aims: Sequence[PointAim], steps: int, step: float) -> PointResult:
        """Steps x ← Π(x + α · steepest(−∇_x sᵀ∇ℓ(z_x))) for all aims at once, s = H⁻¹ ∇L(tests) after each refit.

        α falls linearly from ``step`` radii to 0; the derivative is mixed with the earlier ones (``MOMENTUM``).
        """
        rows = np.array([one.row for one in aims])
        centre = self.train.rows.x[rows]
        found, weights = PointResult(centre, np.full(len(aims), np.inf)), [self.fit.weights] * len(aims)
        at, along = centre, array_namespace(centre).zeros_like(centre)
        for turn in range(steps + 1):
            here = self.region.nearest(at, centre)

            def slope(read: Floats, lines: Ints, here: Array = here) -> Floats:
                return np.stack([self._slope(found, aims, weights, int(i), here, own) for i, own in zip(lines, read)])

            if turn == steps:
                slope(self.inputs.read(here, rows), np.arange(len(aims)))
                return found
            along = MOMENTUM * along + _scaled(self.inputs.pull_back(here, rows, slope))
            at = self.region.step(at, centre, along, step * (1 - turn / steps))
        raise AssertionError

    def _slope(
        self,
        found: PointResult,
        aims: Sequence[PointAim],
        weights: list[Floats],
        line: int,
        here: Array,
        read: Floats,
    ) -> Floats:
        """The derivative (column,) by what the head reads of a changed row, after a refit that is noted."""
        aim = aims[line]
        fitted = self.refit(aim.row, read, weights[line])
        weights[line] = fitted.weights
        self._note(found, line, here, fitted.weights, aim.tests)
        return -fitted.row_slope(fitted.solve(self.test_gradient(fitted.weights, aim.tests)[None])[0])

    def _note(self, found: PointResult, line: int, here: Array, weights: Floats, tests: Ints) -> None:
        """Keep the changed row of this line if it is the best so far."""
        score = self.score(weights, tests)
        if score < found.score[line]:
            xp = array_namespace(found.x)
            found.x = xp.concat([found.x[:line], here[line : line + 1], found.x[line + 1 :]])
            found.score[line] = score


def _scaled(slope: Array) -> Array:
    """A derivative (row, *shape) divided by the mean size of its elements in each row."""
    xp = array_namespace(slope)
    size = xp.mean(xp.abs(xp.reshape(slope, (slope.shape[0], -1))), axis=1)
    size = xp.where(size > 0, size, xp.ones_like(size))
    return slope / xp.reshape(size, (-1,) + (1,) * (slope.ndim - 1))
