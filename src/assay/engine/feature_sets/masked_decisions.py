# SPDX-License-Identifier: Apache-2.0
"""The decisions of a model, or of it smoothed over frozen masks, at sets of features; and a search for a worst one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.types import Floats, Ints, Masks, Queries, Which
from assay.cases.game import Game
from assay.engine.feature_sets.smoothed_scores import smoothed_scores
from assay.nouns.inputs.target import class_scores, highest_other_score, predicted_class, select_label


@dataclass(frozen=True, eq=False)
class MaskedDecisions:
    """The class decided for at a set of features: of the model, or the majority of its votes over ``masks``."""

    game: Game
    masks: Masks | None = None

    def classes(self, which: Which, keep: Queries) -> Ints:
        """The class (query,)."""
        if self.masks is None:
            return self.game.classes(which, keep)
        return np.asarray(self._votes(which, keep).argmax(axis=1))

    def share(self, which: Which, keep: Queries, labels: Ints) -> Floats:
        """The share (query,) of the votes for a class (query,); without masks there is one vote."""
        if self.masks is None:
            return (self.game.classes(which, keep) == labels).astype(float)
        return np.asarray(select_label(self._votes(which, keep), labels) / len(self.masks))

    def margins(self, which: Which, keep: Queries, labels: Ints) -> tuple[Floats, Masks]:
        """The score of a class less the highest other (query,), and whether another class is decided for."""
        if self.masks is not None:
            votes = self._votes(which, keep)
            margin = select_label(votes, labels) - highest_other_score(votes, labels)
            return np.asarray(margin / len(self.masks)), votes.argmax(axis=1) != labels
        outputs, kind = self.game.decision_outputs(which, keep)
        scores = class_scores(outputs, kind)
        margin = np.asarray(select_label(scores, labels) - highest_other_score(scores, labels))
        return margin, predicted_class(outputs, kind) != labels

    def _votes(self, which: Which, keep: Queries) -> Floats:
        assert self.masks is not None
        return smoothed_scores(self.game, which, keep, self.masks, votes=True)


@dataclass(frozen=True, eq=False)
class WorstAdditions:
    """What a greedy search found: the features ``added`` (row, part) and whether they change the class (row,).

    ``single`` (row,) is the margin that the worst single addition leaves; NaN where nothing can be added.
    """

    added: Masks
    changed: Masks
    single: Floats

    @property
    def extra(self) -> dict[str, Floats]:
        """``worst`` (row,): the number of added features, NaN where nothing was found; the set; ``worst_single``."""
        return {
            "worst": np.where(self.changed, self.added.sum(axis=1), np.nan),
            "worst_set": (self.added & self.changed[:, None]).astype(float),
            "worst_single": self.single,
        }


def search_worst_additions(
    decisions: MaskedDecisions, chosen: Masks, free: Masks, labels: Ints, radius: int
) -> WorstAdditions:
    """Add to each row's set, ``radius`` times, the free feature that leaves the smallest margin of its class.

    A row's search ends where the class changes. It is an attack: what it does not find may exist. Each step evaluates
    every free feature of the rows that are still searched.
    """
    added, changed = np.zeros_like(chosen), np.zeros(len(chosen), dtype=bool)
    single = np.full(len(chosen), np.nan)
    for step in range(radius):
        rows, parts = np.nonzero(free & ~added & ~changed[:, None])
        if not len(rows):
            break
        keep = (chosen | added)[rows]
        keep[np.arange(len(rows)), parts] = True
        margin, other = decisions.margins(rows, keep, labels[rows])
        order = np.lexsort((margin, ~other, rows))  # a changed class comes first
        first = order[np.unique(rows[order], return_index=True)[1]]
        added[rows[first], parts[first]] = True
        changed[rows[first]] = other[first]
        if step == 0:
            single[rows[first]] = margin[first]
    return WorstAdditions(added, changed, single)
