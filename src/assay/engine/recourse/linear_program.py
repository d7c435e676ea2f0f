# SPDX-License-Identifier: Apache-2.0
"""The cheapest combination of moves of columns by which sums reach their limits, as a mixed-integer linear program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from assay.basics.types import Floats
from assay.engine.changes.column_rules import Column
from assay.engine.recourse.answers import Point
from assay.engine.recourse.question import Question


@dataclass(frozen=True, eq=False)
class Move:
    """One way to set a column: to any number up to ``most`` away in direction ``sign``, or to one of ``values``.

    ``gain`` (condition,) is what a change by 1 adds to each condition's sum; of ``values`` it is (value, condition).
    ``cost`` is that of a change by 1 (``fixed`` more for any), or (value,).
    """

    column: Column
    sign: float
    most: float
    values: Floats
    gain: Floats
    cost: Any
    fixed: float = 0.0

    @property
    def is_straight(self) -> bool:
        """Whether the column takes any number."""
        return not len(self.values)


@dataclass(frozen=True)
class _Variable:
    """One variable: ``move`` is its move; ``option`` the value it stands for, −1 for whether a number moves at all.

    ``size`` says how far a number moves, in whole steps or as a share of the way; it stands for no change by itself.
    """

    move: int
    option: int
    upper: float
    cost: float
    gain: Floats
    is_whole: bool
    is_size: bool = False


@dataclass(eq=False)
class Program:
    """The program over all moves."""

    moves: Sequence[Move]
    conditions: int
    variables: list[_Variable] = field(init=False)

    def __post_init__(self) -> None:
        self.variables = []
        for number, one in enumerate(self.moves):
            if one.is_straight:
                steps = one.most if one.column.whole else 1.0
                gain, cost = one.gain * one.sign * one.most / steps, float(one.cost) * one.most / steps
                self.variables.append(_Variable(number, -1, steps, cost, gain, one.column.whole, True))
                self.variables.append(_Variable(number, -1, 1.0, one.fixed, np.zeros(self.conditions), True))
            else:
                for option, cost in enumerate(one.cost.tolist()):
                    self.variables.append(_Variable(number, option, 1.0, cost, one.gain[option], True))

    def solve(self, needed: Floats, points: Sequence[Point], own: Floats, question: Question) -> Any:
        """The answer of ``scipy.optimize.milp`` where each sum has to rise by what is ``needed`` (condition,)."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        if not self.variables:
            return _Nothing(0 if (needed <= 0).all() else 2)
        rows, low, high = zip(*self._sums(needed), *self._structure(question), *self._left_out(points, own, question))
        return milp(
            np.array([one.cost for one in self.variables]),
            integrality=np.array([int(one.is_whole) for one in self.variables]),
            bounds=Bounds(0.0, np.array([one.upper for one in self.variables])),
            constraints=LinearConstraint(np.stack(rows), np.array(low), np.array(high)),
            options={"mip_rel_gap": 0.0, "node_limit": question.max_nodes},
        )

    def _sums(self, needed: Floats) -> list[tuple[Floats, float, float]]:
        """One row for each sum, scaled."""
        sums, found = np.stack([one.gain for one in self.variables], axis=1), []
        for place, need in enumerate(needed.tolist()):
            scale = max(1e-300, float(np.abs(sums[place]).max(initial=0.0)), abs(need))
            found.append((sums[place] / scale, need / scale, np.inf))
        return found

    def _structure(self, question: Question) -> list[tuple[Floats, float, float]]:
        """A number that moves is marked as moved; a column moves one way; no more columns move than may."""
        found: list[tuple[Floats, float, float]] = []
        chooses = np.array([not one.is_size for one in self.variables])
        place = np.array([self.moves[one.move].column.place for one in self.variables])
        for number, one in enumerate(self.variables):
            if one.is_size:
                row = np.zeros(len(self.variables))
                row[number], row[number + 1] = 1.0, -one.upper
                found.append((row, -np.inf, 0.0))
        for column in np.unique(place).tolist():
            found.append(((chooses & (place == column)).astype(float), 0.0, 1.0))
        if question.max_columns is not None:
            found.append((chooses.astype(float), 0.0, float(question.max_columns)))
        return found

    def _left_out(self, points: Sequence[Point], own: Floats, question: Question) -> list[tuple[Floats, float, float]]:
        """Of the changes of every point some are left out."""
        found = []
        for point in points:
            total = len(point.changed(own))
            row = np.array([float(not one.is_size and self._repeats(one, point, own)) for one in self.variables])
            found.append((row, -np.inf, float(total - min(question.differences, total))))
        return found

    def _repeats(self, one: _Variable, point: Point, own: Floats) -> bool:
        """Whether a variable stands for a change that the point makes, too."""
        move = self.moves[one.move]
        place = move.column.place
        if place not in point.changed(own):
            return False
        if move.column.is_coded:
            return bool(move.values[one.option] == point.x[place])
        rises = move.sign > 0 if move.is_straight else bool(move.values[one.option] > own[place])
        return bool(rises == (point.x[place] > own[place]))


@dataclass(frozen=True, eq=False)
class _Nothing:
    """The answer of a program without variables."""

    status: int
    x: Floats | None = field(default_factory=lambda: np.empty(0))
    mip_dual_bound: float = 0.0
    mip_node_count: int = 0
