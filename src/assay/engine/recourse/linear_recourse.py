# SPDX-License-Identifier: Apache-2.0
"""The cheapest changes of a row after which a linear classifier decides as wanted: a knapsack, solved exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from assay.basics.types import Floats, Ints
from assay.engine.boxes.cells import with_elements
from assay.engine.boxes.decisions import Rival
from assay.engine.boxes.nearest_change import ROUNDING
from assay.engine.changes.column_rules import Column
from assay.engine.recourse.answers import Answer, Point, Status
from assay.engine.recourse.linear_program import Move, Program
from assay.engine.recourse.question import Question
from assay.model.linear_scores import LinearScores, read_linear
from assay.nouns.inputs.output_kind import OutputKind

PROBES = 9
"""Values of a column at which its score is compared with a straight line."""

EDGE = 1e-12
"""Share of the limit by which a sum has to exceed it, so that the model's own rounding does not decide."""

MAX_OPTIONS = 4000
"""Values of a column that is no straight line, or has costs by quantiles, at most."""

TIGHTENED = (0.0, 1e-12, 1e-10, 1e-8, 1e-7, 1e-6)
"""Shares of the sums by which the conditions are tightened until the solution holds in exact arithmetic."""


@dataclass(eq=False)
class LinearRecourse:
    """The search for every row of a question; ``CapabilityError`` where a step of the model mixes columns."""

    question: Question
    scores: LinearScores = field(init=False)

    def __post_init__(self) -> None:
        self.scores = read_linear(self.question.case.model)

    def rows(self, which: Ints) -> dict[int, Answer]:
        """The answers of rows."""
        return {row: self.answer(row) for row in which.tolist()}

    def answer(self, row: int) -> Answer:
        """The cheapest changes of a row, each without enough of the changes of the cheaper ones."""
        points: list[Point] = []
        status: Status = "undecided"
        low, nodes = 0.0, 0
        for number in range(self.question.count):
            found = self._cheapest(row, points)
            nodes += found.nodes
            if number == 0:
                status, low = found.status, found.bound
            if not found.points:
                break
            points.append(found.points[0])
        return Answer(status, tuple(points), low, nodes)

    def _cheapest(self, row: int, kept: Sequence[Point]) -> Answer:
        question = self.question
        columns = [one for one in question.movable(row) if self._matters(one)]
        best: Point | None = None
        low, nodes, closed = np.inf, 0, True
        for places in question.causes.interventions([one.place for one in columns]):
            chosen = [one for one in columns if one.place in places]
            for rivals in question.conditions(row, OutputKind("margin"), len(self.scores.intercept)):
                found = self._solve(row, chosen, rivals, kept)
                nodes, closed = nodes + found.nodes, closed and found.status in ("optimal", "infeasible")
                low = min(low, found.bound)
                if found.points and (best is None or found.points[0].cost < best.cost):
                    best = found.points[0]
        if best is None:
            return Answer("infeasible" if closed else "undecided", (), np.inf if closed else low, nodes)
        return Answer("optimal" if closed else "feasible", (best,), min(low, best.cost), nodes)

    def _matters(self, column: Column) -> bool:
        effects = self.question.causes.effects([column.place])[:, 0]
        used = set(self.scores.origin[np.any(self.scores.coef != 0, axis=0)].tolist())
        return bool(used & set(np.flatnonzero(effects).tolist()))

    def _solve(self, row: int, columns: Sequence[Column], rivals: Sequence[Rival], kept: Sequence[Point]) -> Answer:
        """The cheapest change of the columns (all of them are set) by which all conditions hold."""
        own, sums = self.question.rows[row], self._sums(row, self.question.rows[row : row + 1])[0]
        weights = np.stack([one.weights for one in rivals], axis=1)
        limits, at = np.array([one.limit for one in rivals]), sums @ weights
        moves = [one for column in columns for one in self._moves(row, column, columns, weights)]
        reach = at.copy()
        for column in columns:
            mine = [one for one in moves if one.column is column]
            tops = [one.gain * one.sign * one.most if one.is_straight else one.gain.max(axis=0) for one in mine]
            reach += np.maximum(0.0, np.max(tops, axis=0)) if tops else 0.0
        size = 1 + np.abs(limits) + np.abs(at) + np.abs(reach)
        if (reach + ROUNDING * size < limits).any():  # the maximum over all that is allowed
            return Answer("infeasible", (), np.inf)
        nodes = 0
        for share in TIGHTENED:
            found = Program(moves, len(limits)).solve(limits - at + share * size, kept, own, self.question)
            nodes += int(getattr(found, "mip_node_count", 0) or 0)
            if found.status == 2:
                exact = share <= ROUNDING
                return Answer("infeasible" if exact else "undecided", (), np.inf if exact else 0.0, nodes)
            if found.x is None:
                return Answer("undecided", (), 0.0, nodes)
            point = self._point(row, moves, found.x, columns, limits, weights)
            if self._holds(row, point.x, limits, weights):
                bound = found.mip_dual_bound
                bound = point.cost if bound is None or not np.isfinite(bound) else min(float(bound), point.cost)
                proved = found.status == 0 and point.cost - bound <= 1e-6 * (1 + point.cost)
                return Answer("optimal" if proved else "feasible", (point,), bound, nodes)
        return Answer("undecided", (), 0.0, nodes)

    def _moves(self, row: int, column: Column, columns: Sequence[Column], weights: Floats) -> list[Move]:
        """What a column may become, up and down apart."""
        question, place = self.question, column.place
        own, here = question.rows[row], question.rows[row, place]
        places = [one.place for one in columns]
        if column.is_coded or column.allowed is not None:
            assert column.allowed is not None
            return self._listed(row, column, column.allowed, places, weights)
        low = max(column.low, here) if column.rising else column.low
        high = min(column.high, here) if column.falling else column.high
        if column.whole:
            low, high = np.ceil(low), np.floor(high)
        ends = [end for end in (low, high) if np.isfinite(end)]
        points = np.unique([here, *(np.linspace(min([here, *ends]), max([here, *ends]), PROBES))])
        if len(ends) < 2:
            points = np.unique([*points, here - 1.0, here + 1.0])
        gains = self._gains(row, column, points, places, weights)
        line = np.polyfit(points - here, gains, 1)[0] if len(points) > 1 else np.zeros(weights.shape[1])
        off = np.abs(gains - (points - here)[:, None] * line).max(initial=0.0)
        if question.rules.unit == "quantile" or off > 1e-9 * (1 + np.abs(gains).max(initial=0.0)):
            known = np.unique(column.known)
            steps = np.unique([*known, *np.nextafter(known, np.inf), *np.nextafter(known, -np.inf), *ends])
            steps = steps[np.isfinite(steps)][:: max(1, len(steps) // MAX_OPTIONS)]
            return self._listed(row, column, np.round(steps) if column.whole else steps, places, weights)
        if len(points) > 1:
            far = int(np.abs(points - here).argmax())
            line = gains[far] / (points[far] - here)
        if not ((low <= here <= high) or low > here or high < here):
            return []
        return self._straight(column, own[place], low, high, line)

    def _straight(self, column: Column, here: float, low: float, high: float, gain: Floats) -> list[Move]:
        rules, found = self.question.rules, []
        per = rules.weights.get(column.name, 1.0) / column.length(rules.unit)
        for sign, most, least in ((1.0, high - here, low - here), (-1.0, here - low, here - high)):
            if most > 0 and least <= 0:
                found.append(Move(column, sign, most, np.empty(0), gain, per, rules.change))
            elif most > 0:  # the row itself lies outside its bounds: the nearest allowed value is a jump
                values = here + sign * np.array([least, most])
                found.append(
                    Move(column, sign, most, values, (values - here)[:, None] * gain, rules.cost(column, values, here))
                )
        return found

    def _listed(self, row: int, column: Column, values: Floats, places: Sequence[int], weights: Floats) -> list[Move]:
        here = self.question.rows[row, column.place]
        values = np.unique(values)
        values = values[column.fits(values, here)]
        if not len(values):
            return []
        gains = self._gains(row, column, values, places, weights)
        costs = self.question.rules.cost(column, values, here)
        sides = [np.ones(len(values), dtype=bool)] if column.is_coded else [values > here, values < here]
        return [Move(column, 0.0, 0.0, values[side], gains[side], costs[side]) for side in sides if side.any()]

    def _gains(self, row: int, column: Column, values: Floats, places: Sequence[int], weights: Floats) -> Floats:
        """What each value adds to each condition's sum, with what follows (value, condition)."""
        own = self.question.rows[row]
        lines = []
        for value in values.tolist():
            x = own.copy()
            x[column.place] = value
            lines.append(self.question.causes.follow(own, x, places))
        lines.append(own)
        moved = self._sums(row, np.stack(lines)) @ weights
        return np.asarray(moved[:-1] - moved[-1])

    def _sums(self, row: int, x: Floats) -> Floats:
        """The scores (line, out) of a row changed to ``x`` (line, column)."""
        template = self.question.case.rows.take(np.array([row]))
        rows = with_elements(template, np.zeros(len(x), dtype=np.int64), x[:, 0])
        np.copyto(rows.x, x)
        return np.asarray(self.scores.matrix(rows) @ self.scores.coef.T + self.scores.intercept)

    def _point(
        self,
        row: int,
        moves: Sequence[Move],
        solution: Floats,
        columns: Sequence[Column],
        limits: Floats,
        weights: Floats,
    ) -> Point:
        """The row of a solution; with one condition the number that moves last is set to what is just enough."""
        question, own = self.question, self.question.rows[row]
        x, at = own.copy(), 0
        straight: list[Move] = []
        for one in moves:
            if one.is_straight:
                steps = one.most if one.column.whole else 1.0
                share = float(solution[at]) / steps
                at += 2
                if share > 1e-9:
                    moved = own[one.column.place] + one.sign * share * one.most
                    x[one.column.place] = np.round(moved) if one.column.whole else moved
                    if not one.column.whole:
                        straight.append(one)
            else:
                taken = np.flatnonzero(solution[at : at + len(one.values)] > 0.5)
                at += len(one.values)
                if len(taken):
                    x[one.column.place] = one.values[taken[0]]
        places = [one.place for one in columns]
        if len(limits) == 1 and straight:
            self._exactly(row, x, straight, places, limits[0], weights[:, 0])
        moved = [one for one in columns if x[one.place] != own[one.place]]
        cost = sum(float(question.rules.cost(one, x[[one.place]], own[one.place])[0]) for one in moved)
        return question.point(own, x, places, cost)

    def _exactly(
        self, row: int, x: Floats, straight: Sequence[Move], places: Sequence[int], limit: float, weights: Floats
    ) -> None:
        """Move the number that is least efficient of those inside their bounds to where the sum reaches the limit."""
        own = self.question.rows[row]
        inner = [m for m in straight if abs(x[m.column.place] - own[m.column.place]) < m.most * (1 - 1e-9)] or straight
        one = min(inner, key=lambda move: move.gain[0] * move.sign / move.cost)
        place = one.column.place
        at = float(self._sums(row, self.question.causes.follow(own, x, places)[None])[0] @ weights)
        if one.gain[0] == 0:
            return
        exact = x[place] + (limit - at) / one.gain[0]
        span = max(abs(exact), abs(own[place]), 1e-300)
        tries = exact + one.sign * span * np.concatenate([[0.0], 2.0 ** np.arange(-53, -33)])
        edge = own[place] + one.sign * one.most
        tries = np.clip(tries, min(own[place], edge), max(own[place], edge))
        lines = np.tile(x, (len(tries), 1))
        lines[:, place] = tries
        sums = self._sums(row, np.stack([self.question.causes.follow(own, line, places) for line in lines])) @ weights
        good = np.flatnonzero(sums >= limit + EDGE * (1 + abs(limit)))
        if len(good):
            x[place] = tries[good[0]]

    def _holds(self, row: int, x: Floats, limits: Floats, weights: Floats) -> bool:
        sums = (self._sums(row, x[None]) @ weights)[0]
        return bool((sums >= limits + EDGE * (1 + np.abs(limits))).all())
