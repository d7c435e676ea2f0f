# SPDX-License-Identifier: Apache-2.0
"""Explanations as sums over background rows: partial dependence, ALE and Shapley values of one column."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.surrogates.feature_profiles import as_rows
from assay.nouns.inputs.rows import to_floats

Explained = Literal["partial_dependence", "ale", "shapley"]
"""The explanations that a background can mislead."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Numbers Σ_p ``weights`` (number, point) f(point), whose points are background rows with some cells fixed.

    Point p is row ``owner`` (point,) of the background; where ``fixed`` (point, column) holds, the cell is that of
    ``cells`` (point, column), which does not move with the background. ``at_rows`` (row, number) turns the numbers into
    the value at each row explained; ``grid`` (number,) are the places of a curve, empty for Shapley values.
    """

    owner: Ints
    fixed: Masks
    cells: Floats
    weights: Floats
    at_rows: Floats
    grid: Floats

    def points(self, background: Floats) -> Floats:
        """The rows (point, column) that the model is asked for."""
        return np.where(self.fixed, self.cells, background[self.owner])

    def values(self, case: Case, background: Floats) -> Floats:
        """The numbers (number,) for a background."""
        return np.asarray(self.weights @ self.outputs(case, background))

    def outputs(self, case: Case, background: Floats) -> Floats:
        """The target (point,) at the points."""
        return to_floats(case.value(as_rows(case, self.points(background)), np.zeros(len(self.owner), dtype=np.int64)))

    def slope(self, case: Case, background: Floats, slopes: Floats) -> Floats:
        """The derivative (background row, column) of Σ ``slopes`` (number,) · numbers."""
        which = np.zeros(len(self.owner), dtype=np.int64)
        each = to_floats(case.gradient(as_rows(case, self.points(background)), which))
        each = np.where(self.fixed, 0.0, each * (slopes @ self.weights)[:, None])
        total = np.zeros(background.shape)
        np.add.at(total, self.owner, each)
        return total

    def parts(self, outputs: Floats, rows: int) -> Floats:
        """What each background row adds to the numbers, (background row, number), from the target at the points."""
        total = np.zeros((rows, len(self.weights)))
        np.add.at(total, self.owner, (self.weights * outputs).T)
        return total


def explained_curve(kind: Explained, case: Case, background: Floats, column: int, points: int, seed: Seed) -> Curve:
    """The explanation of one column by a background.

    Partial dependence and ALE: the curve minus its mean over the grid. Shapley values of the rows explained: one random
    order and its reverse for each row explained and each background row.
    """
    if kind == "shapley":
        return _shapley(case, background, column, seed)
    known = background[np.isfinite(background[:, column]), column]
    grid = np.unique(np.quantile(known, np.linspace(0, 1, points), method="inverted_cdf")) if len(known) else known
    if len(grid) < 2:
        raise InputError("the column has one value in the background, so that it has no curve. Name another column.")
    curve = (_partial_dependence if kind == "partial_dependence" else _accumulated)(background, column, grid)
    centred = curve.weights - curve.weights.mean(axis=0)
    own = to_floats(case.rows.x)[:, column]
    at = np.clip(np.where(np.isnan(own), grid[0], own), grid[0], grid[-1])
    place = np.clip(np.searchsorted(grid, at, side="right") - 1, 0, len(grid) - 2)
    share = (at - grid[place]) / (grid[place + 1] - grid[place])
    at_rows = np.zeros((len(own), len(grid)))
    at_rows[np.arange(len(own)), place], at_rows[np.arange(len(own)), place + 1] = 1 - share, share
    return replace(curve, weights=centred, at_rows=at_rows)


def _partial_dependence(background: Floats, column: int, grid: Floats) -> Curve:
    rows = len(background)
    owner = np.tile(np.arange(rows), len(grid))
    fixed, cells = np.zeros((len(owner), background.shape[1]), dtype=bool), np.zeros((len(owner), background.shape[1]))
    fixed[:, column], cells[:, column] = True, np.repeat(grid, rows)
    weights = np.repeat(np.eye(len(grid)), rows, axis=1) / rows
    return Curve(owner, fixed, cells, weights, np.empty((0, 0)), grid)


def _accumulated(background: Floats, column: int, grid: Floats) -> Curve:
    """Means over bins of the differences between a bin's edges, added up; rows without a number are in no bin."""
    own = background[:, column]
    inside = np.flatnonzero(np.isfinite(own))
    place = np.clip(np.searchsorted(grid, own[inside], side="left") - 1, 0, len(grid) - 2)
    counts = np.bincount(place, minlength=len(grid) - 1)
    steps = (place[None] == np.arange(len(grid) - 1)[:, None]) / np.maximum(counts, 1)[:, None]
    added = np.concatenate([np.zeros((1, len(inside))), steps.cumsum(axis=0)])
    owner = np.concatenate([inside, inside])
    fixed, cells = np.zeros((len(owner), background.shape[1]), dtype=bool), np.zeros((len(owner), background.shape[1]))
    fixed[:, column], cells[:, column] = True, np.concatenate([grid[place + 1], grid[place]])
    return Curve(owner, fixed, cells, np.concatenate([added, -added], axis=1), np.empty((0, 0)), grid)


def _shapley(case: Case, background: Floats, column: int, seed: Seed) -> Curve:
    x, (rows, columns) = to_floats(case.rows.x), background.shape
    owner = np.tile(np.arange(rows), len(x))
    place = seed.generator().random((len(owner), columns)).argsort(axis=1).argsort(axis=1)
    cells = np.repeat(x, rows, axis=0)
    before = place < place[:, [column]]
    after = place > place[:, [column]]
    weight = np.repeat(np.eye(len(x)), rows, axis=1) / (2 * rows)
    masks, signs = [], []
    for some in (before, after):
        with_it = some.copy()
        with_it[:, column] = True
        masks += [with_it, some]
        signs += [weight, -weight]
    return Curve(
        np.tile(owner, 4),
        np.concatenate(masks),
        np.tile(cells, (4, 1)),
        np.concatenate(signs, axis=1),
        np.eye(len(x)),
        np.empty(0),
    )
