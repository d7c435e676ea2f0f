# SPDX-License-Identifier: Apache-2.0
"""What a linear head reads of changed training rows, its derivative by them, and how far they may be moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from array_api_compat import array_namespace

from assay.basics.errors import CapabilityError, InputError
from assay.basics.optional import need
from assay.basics.types import Array, Floats, Ints
from assay.cases.case import Case
from assay.engine.influence.read_fit import estimator_matrix, is_linear_fit
from assay.engine.influence.weight_gradients import WeightLayer, last_linear_layer
from assay.engine.search.ball import Ball
from assay.engine.search.threat import as_array
from assay.model.autograd_errors import derivative_of
from assay.model.forests.pipeline import unwrap
from assay.model.linear_scores import estimator_of
from assay.nouns.inputs.rows import Rows, concatenate, to_floats

Slope = Callable[[Floats, Ints], Floats]
"""A derivative (row, column) by what the head reads (row, column), of the lines named by their positions (row,)."""

STEP = 1e-5
"""Step of central differences through the steps of a pipeline, as a share of a column's range."""

ROUNDING = 1e-6
"""A move that is a whole number but for this share of it counts as one."""


class HeadInputs(Protocol):
    """What the head reads of training rows ``which`` with ``x`` as their contents."""

    def read(self, x: Array, which: Ints) -> Floats:
        """What the head reads (row, column), with a 1 for its bias."""

    def pull_back(self, x: Array, which: Ints, slope: Slope) -> Array:
        """The derivative by ``x``, shaped like it, of a number whose derivative by what the head reads is ``slope``."""


def head_inputs(train: Case) -> HeadInputs:
    """What the linear model of scikit-learn, or the last linear layer of the net, reads of training rows."""
    if is_linear_fit(train.model):
        return TableInputs(train)
    return NetInputs(train, last_linear_layer(train.model))


@dataclass(frozen=True, eq=False)
class NetInputs:
    """What the last linear layer of a net reads; each pass is counted."""

    train: Case
    layer: WeightLayer

    def read(self, x: Array, which: Ints) -> Floats:
        """What the layer reads (row, column)."""
        pt = need("torch", extra="torch")
        parts = []
        for lines in self._batches(len(x), 0):
            with pt.no_grad():
                parts.append(self._columns(self._taken(self.train.rows.with_inputs(x[lines], which[lines]))))
            self._count(lines, 0)
        return np.concatenate(parts)

    def pull_back(self, x: Array, which: Ints, slope: Slope) -> Array:
        """The derivative by ``x``."""
        pt = need("torch", extra="torch")
        parts = []
        for lines in self._batches(len(x), 1):
            rows = self.train.rows.with_inputs(x[lines], which[lines])
            rows = replace(rows, x=rows.x.detach().clone().requires_grad_(True))
            with pt.enable_grad(), derivative_of(self.train.model.name):
                taken = self._taken(rows)
                back = slope(self._columns(taken), lines)[:, : taken.shape[1]]
                value = (taken.double() * pt.as_tensor(back, device=taken.device)).sum()
                parts.append(pt.autograd.grad(value, rows.x)[0])
            self._count(lines, 1)
        return concatenate(parts)

    def _taken(self, rows: Rows) -> Any:
        """What the layer receives (row, in) in a pass of the model."""
        taken: list[Any] = []
        handle = self.layer.module.register_forward_hook(lambda module, given, out: taken.append(given[0]))
        try:
            self.train.model.forward(rows)
        finally:
            handle.remove()
        return taken[0].reshape(len(rows), -1)

    def _columns(self, taken: Any) -> Floats:
        return np.asarray(self.layer.inputs(taken)[:, 0].cpu().numpy())

    def _batches(self, rows: int, copies: int) -> list[Ints]:
        size = self.train.max_batch_rows(copies)
        return [np.arange(start, min(start + size, rows)) for start in range(0, rows, size)]

    def _count(self, lines: Ints, backwards: int) -> None:
        done = len(lines) * self.train.model.passes_per_row
        self.train.model.meter.count(forwards=done, backwards=done * backwards)


@dataclass(frozen=True, eq=False)
class TableInputs:
    """What a linear model of scikit-learn reads behind the steps of its pipeline; no pass of the model is needed."""

    train: Case

    def read(self, x: Array, which: Ints) -> Floats:
        """What the model multiplies with its weights (row, column)."""
        return estimator_matrix(self.train.model, self.train.rows.with_inputs(x, which))

    def pull_back(self, x: Array, which: Ints, slope: Slope) -> Array:
        """The derivative by ``x``, by central differences through the steps; coded columns have 0."""
        back = slope(self.read(x, which), np.arange(len(x)))
        if not unwrap(estimator_of(self.train.model))[0]:
            return back[:, : x.shape[1]].reshape(x.shape)
        found = np.zeros(x.shape)
        spread = np.ptp(to_floats(self.train.rows.x), axis=0)
        for column in np.flatnonzero(~coded_columns(self.train.rows)):
            moved = np.zeros(x.shape[1])
            moved[column] = STEP * (spread[column] or 1.0)
            change = self.read(x + moved, which) - self.read(x - moved, which)
            found[:, column] = (back * change).sum(axis=1) / (2 * moved[column])
        return found


def coded_columns(rows: Rows) -> Any:
    """Which columns (column,) of a table hold codes of levels, which cannot be moved a little."""
    return np.zeros(rows.shape, dtype=bool) if rows.table is None else np.asarray(rows.table.coded)


@dataclass(frozen=True, eq=False)
class Region:
    """Where a training row may be moved to: inside the ball around it, between ``low`` and ``high`` (*shape).

    Elements that are ``whole`` keep whole numbers, those that are ``fixed`` their value.
    """

    ball: Ball
    low: Floats
    high: Floats
    whole: Any
    fixed: Any

    @classmethod
    def of(cls, train: Case, ball: Ball, *, within_ranges: bool) -> Region:
        """The region; with ``within_ranges`` each element stays in its range in the training rows."""
        rows = train.rows
        if rows.text is not None or train.takes_ids:
            raise CapabilityError("training rows that are texts or ids cannot be moved a little; give rows of numbers.")
        ball.check_bounds(rows.x)
        x = to_floats(rows.x)
        everywhere = np.ones(rows.shape)
        low, high = (x.min(axis=0), x.max(axis=0)) if within_ranges else (-np.inf * everywhere, np.inf * everywhere)
        integral = np.equal(x, np.round(x))
        if len(rows.shape) == 1:
            whole = integral.all(axis=0) & (np.ptp(x, axis=0) > 0)
        else:
            whole = np.full(rows.shape, bool(integral.all()))
        return cls(ball, low, high, whole, coded_columns(rows))

    def nearest(self, x: Array, centre: Array) -> Array:
        """``x`` moved into the region around ``centre``; whole numbers are those towards the centre."""
        xp = array_namespace(x)
        low, high, whole, fixed = (self._like(one, x) for one in (self.low, self.high, self.whole, self.fixed))
        x = xp.minimum(xp.maximum(self.ball.project(x, centre), low), high)
        move = x - centre
        move = xp.where(whole > 0, xp.trunc(move * (1 + ROUNDING)), move)
        return self.ball.confine(centre + xp.where(fixed > 0, xp.zeros_like(move), move), centre)

    def step(self, x: Array, centre: Array, slope: Array, size: float) -> Array:
        """A step of steepest ascent of ``size`` radii, projected on the ball; whole numbers are not yet restored."""
        return self.ball.project(x + size * self.ball.radius * self.ball.steepest(slope), centre)

    def _like(self, values: Any, x: Array) -> Array:
        return as_array(np.asarray(values, dtype=np.float64), x)


def position_of(train: Case, name: str) -> int:
    """The position of the training row with this id; ``InputError`` where there is none."""
    if name not in train.rows.ids:
        raise InputError(
            f"row={name!r} names no training row; their ids are {train.rows.ids[0]} … {train.rows.ids[-1]}."
        )
    return train.rows.ids.index(name)
