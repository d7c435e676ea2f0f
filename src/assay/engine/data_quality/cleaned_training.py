# SPDX-License-Identifier: Apache-2.0
"""Training again without rows whose labels are called wrong, or with other labels for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.paired_tests import paired_rate_interval
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.engine.data_quality.confident_learning import Filter, flagged_labels
from assay.engine.data_quality.out_of_fold import OutOfFold
from assay.engine.data_quality.training_labels import Predictor, TrainingLabels, most_flagged_group
from assay.engine.data_quality.wrong_label_share import WrongLabelShare
from assay.engine.influence.refits import take_training
from assay.engine.retraining.label_randomisation import take_labels
from assay.engine.retraining.labelled_rows import losses, outputs_at, read_like, rows_also_in, true_labels
from assay.engine.retraining.model_retraining import comparable_model
from assay.model.model import Model
from assay.nouns.inputs.frames import is_frame, open_frame
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import Note

How = Literal["drop", "relabel", "weight"]
"""What is done with a row whose label is called wrong."""


@dataclass(frozen=True, eq=False)
class CleaningOptions:
    """How labels are called wrong, and what is done with their rows."""

    how: How
    filter: Filter
    by: Predictor
    folds: int
    sensitive: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Cleaning:
    """The recipe's rows, which of them are ``flagged`` (row,), and their ``suggested`` classes (row,)."""

    case: Case
    recipe: Recipe
    rows: TrainingLabels
    found: OutOfFold
    flagged: Masks
    suggested: Ints
    wrong: Floats

    @classmethod
    def of(cls, case: Case, recipe: Recipe, options: CleaningOptions) -> Cleaning:
        """Flags from the recipe's rows alone; ``InputError`` where no label is flagged."""
        seed = case.seed.child("label errors")
        columns = {name: _column(recipe.x, name) for name in options.sensitive}
        rows = TrainingLabels.of(case, recipe.x, recipe.y, columns, len(recipe.y), seed)
        found = rows.out_of_fold(case, recipe, options.by, options.folds, seed)
        labels, judged = rows.labels[found.judged], found.judged
        flagged, wrong = np.zeros(rows.total, dtype=bool), np.zeros(rows.total)
        flagged[judged] = flagged_labels(found.probabilities, labels, options.filter)
        wrong[judged] = WrongLabelShare.fit(found.probabilities, labels).probability_wrong
        if not flagged.any():
            raise InputError("no training label is called wrong by this rule, so that there is nothing to clean.")
        others = found.probabilities.copy()
        others[np.arange(len(labels)), labels] = -1.0
        suggested = rows.labels.copy()
        suggested[judged] = others.argmax(axis=1)
        return cls(case, recipe, rows, found, flagged, suggested, wrong)

    def cleaned(self, how: How, seed: Seed) -> Recipe:
        """The recipe with the cleaned rows."""
        if how == "drop":
            return self.without(self.flagged)
        if how == "weight":
            return self.without(seed.child("weight").generator().random(len(self.wrong)) < self.wrong)
        sources = np.arange(len(self.flagged))
        first = {int(one): int(np.flatnonzero(self.rows.labels == one)[0]) for one in np.unique(self.rows.labels)}
        for row in np.flatnonzero(self.flagged):
            sources[row] = first.get(int(self.suggested[row]), row)
        return replace(self.recipe, y=take_labels(self.recipe.y, sources))

    def without(self, dropped: Masks) -> Recipe:
        """The recipe without some rows; ``InputError`` where a class loses its last row."""
        lost = set(self.rows.labels.tolist()) - set(self.rows.labels[~dropped].tolist())
        if lost:
            raise InputError(f"{len(lost)} class(es) would lose all their training rows. Use how='relabel'.")
        x, y = take_training(self.recipe, np.flatnonzero(~dropped))
        return replace(self.recipe, x=x, y=y)

    def largest_losses(self) -> Masks:
        """As many rows as are flagged, with the largest loss of the model itself on its training rows, (row,)."""
        own = losses(outputs_at(self.case, self.recipe.x)[0], self.rows.labels, self.case.model)
        return self._first(np.argsort(-own, kind="stable"))

    def random_rows(self, seed: Seed) -> Masks:
        """As many rows as are flagged, drawn at random, (row,)."""
        return self._first(seed.child("random rows").generator().permutation(len(self.flagged)))

    def _first(self, order: Ints) -> Masks:
        found = np.zeros(len(self.flagged), dtype=bool)
        found[order[: int(self.flagged.sum())]] = True
        return found

    def composition_note(self, level: float = 0.95) -> Note:
        """Which classes and groups the flagged rows belong to."""
        tables = self.rows.composition(self.flagged, self.case.model.classes, level)
        parts = [
            f"{what}: " + ", ".join(f"{line['name']} {line['flagged']} of {line['rows']}" for line in lines)
            for what, lines in tables.items()
        ]
        most = most_flagged_group(tables, float(self.flagged.mean()))
        return Note("flagged-by-group", f"training rows flagged by {'; by '.join(parts)}.{most}")


def _column(rows: Any, name: str) -> list[Any]:
    if not is_frame(rows) or name not in open_frame(rows).columns:
        raise InputError(f"sensitive: {name!r} is no column of the recipe's rows.")
    return list(open_frame(rows)[name].to_list())


def refuse_training_rows(case: Case, recipe: Recipe, held_out: Any) -> None:
    """Raise ``InputError`` where most held-out rows are training rows, which choose what is cleaned."""
    if case.rows.text is not None:
        known = set(map(str, recipe.x))
        copies = np.array([str(text) in known for text in held_out[0]])
    else:
        copies = np.asarray(rows_also_in(read_like(case, held_out[0]), read_like(case, recipe.x)))
    if copies.mean() > 0.5:
        raise InputError(
            f"{int(copies.sum())} of {len(copies)} held-out rows are training rows of the recipe. Labels of rows that "
            f"measure the cleaned model must not choose what is cleaned: give rows that were not trained on."
        )


def fit(case: Case, recipe: Recipe, what: str) -> Model:
    """The model that the recipe trains on its rows, with the same seed for every set of rows."""
    model = comparable_model(case, recipe.train(recipe.x, recipe.y, case.seed.child("cleaning")))
    return replace(model, name=f"{case.model.name}, {what}")


def hits(case: Case, models: Sequence[Model], held_out: Any) -> list[Floats]:
    """Whether each model decides each held-out row for its label, (row,)."""
    found = []
    for model in models:
        outputs = ask(model, held_out[0], label=None, seed=case.seed).prediction
        true = true_labels(case.model, held_out[1], len(outputs), outputs)
        found.append(np.asarray(predicted_class(outputs, model.kind) == true, dtype=np.float64))
    return found


def difference_note(code: str, what: str, was: Floats, now: Floats) -> Note:
    """The paired difference of two accuracies, in words."""
    limits, change = paired_rate_interval(was, now), float(now.mean() - was.mean())
    text = (
        f"accuracy of the cleaned model minus that {what}, on {len(was)} held-out rows: {change:+.4g} "
        f"[{limits.low:+.4g}, {limits.high:+.4g}] at 95 %"
    )
    return Note(code, text)
