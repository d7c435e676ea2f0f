# SPDX-License-Identifier: Apache-2.0
"""Completions of a row by which a linear classifier decides for another class: a sum of the features' extremes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.boxes.decisions import Rival, rivals_of_sums
from assay.engine.feature_sets.completion_search import Decision
from assay.engine.feature_sets.domains import Domain
from assay.model.linear_scores import LinearScores, read_linear
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.rows import Rows

ROUNDING = 1e-9
"""Share of the size of the sums within which two of them count as equal."""


@dataclass(frozen=True, eq=False)
class LinearModel:
    """A linear classifier: its scores, and the conditions on them under which each class is not decided for."""

    scores: LinearScores
    rivals: dict[int, list[Rival]]
    rows: Rows

    @classmethod
    def of(cls, case: Case, predicted: Ints) -> LinearModel:
        """The classifier of a case; ``CapabilityError`` where its decisions are not those of its coefficients."""
        scores = read_linear(case.model)
        size = len(scores.intercept)
        kinds = {
            label: rivals_of_sums(case, OutputKind("margin"), size, label) for label in np.unique(predicted).tolist()
        }
        sums = scores.matrix(case.rows) @ scores.coef.T + scores.intercept
        for row, label in enumerate(predicted.tolist()):
            slack = ROUNDING * (1 + np.abs(sums[row]).max())
            if any(one.holds(sums[row : row + 1] - slack * one.weights)[0] for one in kinds[label]):
                raise CapabilityError(f"the coefficients of {case.model.name} do not decide as the model does.")
        return cls(scores, kinds, case.rows)

    def around(self, row: int, label: int, domain: Domain, part: Ints) -> LinearCompletions:
        """The completions of one row."""
        x, template = domain.x, self.rows.take(np.array([row]))
        own = self.scores.matrix(template) @ self.scores.coef.T + self.scores.intercept
        rivals = self.rivals[label]
        weights = np.stack([one.weights for one in rivals], axis=1)
        values, gains = [], np.zeros((len(rivals), len(x)))
        best = np.zeros((len(rivals), len(x)), dtype=np.int64)
        for element in range(len(x)):
            candidates = self._candidates(domain, element, template)
            added = self.scores.parts(_with_values(template, element, candidates), element) @ weights
            moved = added - added[-1]  # the last candidate is the row's own value
            best[:, element], gains[:, element] = moved.argmax(axis=0), moved.max(axis=0)
            values.append(candidates)
        at = (own @ weights)[0]
        limits = np.array([one.limit for one in rivals])
        slack = ROUNDING * (1 + np.abs(limits) + np.abs(at) + gains.sum(axis=1))
        return LinearCompletions(x, part, at - limits + slack, gains, best, values)

    def _candidates(self, domain: Domain, element: int, template: Rows) -> Floats:
        """Values among which every score is largest at one: the ends of a straight line, else all known values."""
        x = domain.x[element]
        gap = [np.nan] if domain.gaps[element] else []
        if domain.coded[element]:
            return np.array([*domain.levels[element], x])
        low, high = domain.low[element], domain.high[element]
        ends = [low, high] if low <= high else []
        if self.scores.affine and ends and self._is_straight(domain, element, template):
            return np.array([*ends, *gap, x])
        inside = domain.levels[element][(domain.levels[element] >= low) & (domain.levels[element] <= high)]
        return np.array([*inside, *gap, x])

    def _is_straight(self, domain: Domain, element: int, template: Rows) -> bool:
        low, high = domain.low[element], domain.high[element]
        known = domain.levels[element]
        points = np.unique(np.clip(np.concatenate([np.linspace(low, high, 9), known[~np.isnan(known)]]), low, high))
        added = self.scores.parts(_with_values(template, element, points), element)
        share = (points - low) / (high - low) if high > low else np.zeros(len(points))
        line = added[0] + share[:, None] * (added[-1] - added[0])
        return bool(np.abs(added - line).max(initial=0.0) <= 1e-9 * (1 + np.abs(added).max(initial=0.0)))


@dataclass(frozen=True, eq=False)
class LinearCompletions:
    """The completions of one row: how far each class is below being decided for, and what each element can add.

    ``lead`` (rival,) is at least 0 where the rival is decided for; ``gains`` (rival, element) ≥ 0.
    """

    x: Floats
    part: Ints
    lead: Floats
    gains: Floats
    best: Ints
    values: list[Floats]

    @property
    def adds_up(self) -> bool:
        """With two classes the gains of the free features only have to stay below the lead together."""
        return len(self.lead) == 1

    @property
    def is_tied(self) -> bool:
        """Whether another class is decided for at the row itself, up to rounding."""
        return bool((self.lead >= 0).any())

    def decide(self, free: Masks, max_nodes: int) -> Decision:
        """Whether the class stays: each rival is as high as it can be where every free element takes its best value."""
        elements = free[np.where(self.part >= 0, self.part, 0)] & (self.part >= 0)
        reach = self.lead + self.gains[:, elements].sum(axis=1)
        if not (reach >= 0).any():
            return Decision("stays", None, 0)
        rival = int(reach.argmax())
        moved = self.x.copy()
        for element in np.flatnonzero(elements & (self.gains[rival] > 0)).tolist():
            moved[element] = self.values[element][self.best[rival, element]]
        return Decision("changes", moved, 0)

    def importance(self) -> Floats:
        """The largest gain of each feature (part,), over all rivals."""
        parts = int(self.part.max()) + 1
        inside = self.part >= 0
        return np.max([np.bincount(self.part[inside], gains[inside], minlength=parts) for gains in self.gains], axis=0)


def _with_values(template: Rows, element: int, values: Floats) -> Rows:
    copies = template.take(np.zeros(len(values), dtype=np.int64))
    x = np.array(copies.x, dtype=np.float64)
    x.reshape(len(x), -1)[:, element] = values
    return replace(copies, x=x)
