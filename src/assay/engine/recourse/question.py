# SPDX-License-Identifier: Apache-2.0
"""What is asked for a counterfactual: the decision wanted, the margin, what may change, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.labels import resolve_label
from assay.engine.boxes.decisions import Rival, rivals_of_sums
from assay.engine.changes.column_rules import Column, ColumnRules
from assay.engine.recourse.answers import Point
from assay.engine.recourse.causes import Causes
from assay.engine.search.losses import require_decisions
from assay.engine.search.threat import Labels
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class, probabilities

ANY = -1
"""The place of the wanted class where any other than the predicted one will do."""

SLACK = 1e-9
"""Rounding of a probability that is compared with the threshold and the margin."""


@dataclass(frozen=True, eq=False)
class Question:
    """One question for every row of a case.

    ``goal`` (row,) is the place of the class to reach, ``ANY`` for any but the predicted one. ``count`` changes are
    sought, each without at least ``differences`` of the changes of every cheaper one. ``plausible`` is the share of
    reference rows that are less typical than a counterfactual may be, ``reference`` (row, column) those rows.
    """

    case: Case
    rules: ColumnRules
    causes: Causes
    goal: Ints
    margin: float
    count: int
    differences: int
    max_nodes: int
    max_columns: int | None
    plausible: float | None
    reference: Floats

    @cached_property
    def rows(self) -> Floats:
        """The rows (row, column)."""
        return to_floats(self.case.rows.x)

    @cached_property
    def predicted(self) -> Ints:
        """The place of the predicted class (row,)."""
        return np.asarray(predicted_class(self.case.prediction, self.case.model.gives))

    @property
    def accepted(self) -> Masks:
        """Whether the model decides as wanted already (row,)."""
        return (self.goal != ANY) & (self.goal == self.predicted)

    def movable(self, row: int) -> list[Column]:
        """The columns of a row that may change: missing numbers stay."""
        return [one for one in self.rules.columns if not np.isnan(self.rows[row, one.place])]

    def point(self, own: Floats, x: Floats, places: Sequence[int], cost: float) -> Point:
        """The row ``own`` (column,) after the columns ``places`` are set as in ``x``, with what follows."""
        free = self.causes.follow(own, x, [place for place in places if x[place] != own[place]])
        intervened = tuple(sorted(place for place in places if free[place] != own[place] or x[place] != own[place]))
        return Point(self.causes.follow(own, x, places), cost, intervened)

    def with_causes(self, causes: Causes) -> Question:
        """The same question under another causal model, for the cheapest change alone."""
        return replace(self, causes=causes, count=1)

    def accepts(self, outputs: Any, which: Ints) -> Masks:
        """Whether the outputs (line, out) decide as wanted for the rows ``which`` (line,), by the margin.

        The margin is compared for two classes, in probability (in the score's own units where it is none).
        """
        kind, found = self.case.model.kind, to_floats(outputs)
        decided, wanted = predicted_class(found, kind), self.goal[which]
        good = np.where(wanted == ANY, decided != self.predicted[which], decided == wanted)
        good &= np.isfinite(found).all(axis=1)
        if self.margin and max(2, found.shape[1]) == 2:
            last = np.where(wanted == ANY, 1 - self.predicted[which], wanted) == 1
            score, limit = self.score(found)
            lead = np.where(last, score - limit, limit - score)
            good &= lead >= self.margin - SLACK * (1 + np.abs(score))
        return np.asarray(good)

    def score(self, outputs: Floats) -> tuple[Floats, float]:
        """The number that the threshold is compared with (line,), and the threshold, for two classes."""
        kind = self.case.model.kind
        if is_of_score(kind):
            score = (
                outputs[:, -1] if outputs.shape[1] == 1 or kind.threshold is not None else outputs[:, 1] - outputs[:, 0]
            )
            return score, kind.threshold or 0.0
        found = to_floats(probabilities(outputs, kind))
        return found[:, -1], 0.5 if kind.threshold is None else kind.threshold

    def conditions(self, row: int, summed: OutputKind, size: int) -> list[list[Rival]]:
        """Alternatives, of which one has to hold: each is a list of conditions on ``size`` sums that all have to hold.

        ``CapabilityError`` where the decision is no comparison of sums.
        """
        classes, label, wanted = max(2, size), int(self.predicted[row]), int(self.goal[row])
        if wanted == ANY and (classes == 2 or not self.margin):
            return [[self._with_margin(one, summed, size)] for one in self._rivals(label, summed, size)]
        goals = [wanted] if wanted != ANY else [one for one in range(classes) if one != label]
        found = []
        for goal in goals:
            rivals = [one for r in range(classes) if r != goal for one in self._rivals(r, summed, size)]
            found.append([self._with_margin(one, summed, size) for one in rivals if one.label == goal])
        return found

    @cached_property
    def _known(self) -> dict[int, list[Rival]]:
        return {}

    def _rivals(self, label: int, summed: OutputKind, size: int) -> list[Rival]:
        if label not in self._known:
            self._known[label] = rivals_of_sums(self.case, summed, size, label)
        return self._known[label]

    def _with_margin(self, one: Rival, summed: OutputKind, size: int) -> Rival:
        """The condition, held by the margin: of the probability for two classes, else of the sums."""
        if not self.margin:
            return one
        kind = self.case.model.kind
        if max(2, size) > 2 or is_of_score(kind):
            return Rival(one.label, one.weights, one.limit + self.margin, True)
        threshold = 0.5 if kind.threshold is None else kind.threshold
        needed = threshold + self.margin if one.label == 1 else threshold - self.margin
        if not 0 < needed < 1:
            raise InputError(
                f"margin={self.margin:g} on the side of class {one.label} asks for a probability of {needed:g}, which "
                f"none can have: the threshold is {threshold:g}."
            )
        sign = 1.0 if one.label == 1 else -1.0
        if summed != "probabilities":
            logit = float(np.log(needed) - np.log1p(-needed)) / summed.scale
            weights = np.array([sign]) if size == 1 else sign * np.array([-1.0, 1.0])
            return Rival(one.label, weights, sign * logit, True)
        weights = np.array([sign]) if size == 1 else sign * np.array([0.0, 1.0])
        return Rival(one.label, weights, sign * needed, True)


def is_of_score(kind: OutputKind) -> bool:
    """Whether the decision compares a score that is no probability."""
    return kind.of_score or (kind in ("logits", "margin") and kind.link == "none")


def read_goal(case: Case, label: Labels | None) -> Ints:
    """The place of the wanted class of each row (row,); ``ANY`` without one."""
    require_decisions(case.model.gives)
    if label is None:
        return np.full(len(case), ANY, dtype=np.int64)
    return np.asarray(resolve_label(label, case.model, len(case), lambda: case.prediction))
