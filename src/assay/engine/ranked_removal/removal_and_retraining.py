# SPDX-License-Identifier: Apache-2.0
"""Remove (or keep) what an explanation ranks first, train again, and compare with a random ranking."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.cost import Given, cost_of_explaining_again
from assay.engine.ranked_removal.feature_order import (
    Explained,
    Fill,
    Order,
    RankedRows,
    is_global,
    part_counts,
    ranked_rows,
    ranks,
    removed_parts,
)
from assay.engine.ranked_removal.mask_leak import MaskLeak, measure_mask_leak
from assay.engine.retraining.label_randomisation import with_model
from assay.engine.retraining.labelled_rows import read_like, rows_also_in, true_labels
from assay.engine.retraining.model_retraining import comparable_model
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import Estimate, Explanation, Note

FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Shares of the parts that are removed or kept: their mean is the midpoint rule of the area over 0 … 1."""

SEEDS = 5
"""Trainings of each setting."""


@dataclass(frozen=True, eq=False)
class RetrainingOptions:
    """Everything that decides what is removed, from which rows, and how often the model is trained."""

    keep: bool
    fractions: tuple[float, ...]
    seeds: int
    order: Order
    fill: Fill
    explained: Explained
    absolute: bool


def trainings(fractions: tuple[float, ...], seeds: int) -> int:
    """Models that one score trains: by the explanation, by a random ranking, and on the rows as they are."""
    return seeds * (2 * len(fractions) + 1)


def retraining_cost(case: Case, o: Given, again: Cost) -> Cost:
    """Training rows explained by the fixed model, and the case's rows by each model; trainings are not counted."""
    passes, count, rows = case.model.passes_per_row, len(o.recipe.x), len(case)
    by_row = not is_global(case, o.order)
    predicted = count * passes if case.model.kind.is_classifier else 0
    found = Cost(rows * passes * (trainings(o.fractions, o.seeds) + len(o.fractions)) + predicted)
    once = cost_of_explaining_again(case, again)
    if o.training is None:
        found = found + Cost(once.forwards * count // rows, once.backwards * count // rows)
    return found + (once if by_row and o.explained != "case" else Cost())


def score_by_retraining(
    explanation: Explanation,
    case: Case,
    labels: Any,
    recipe: Recipe,
    options: RetrainingOptions,
    training: Explanation | None,
) -> Estimate:
    """Accuracy after retraining minus that of a random ranking (row,), the mean over fractions and seeds."""
    if options.seeds < 2:
        raise InputError(f"seeds={options.seeds}; at least 2 trainings of each setting are needed, 5 or more advised.")
    shared, counts = is_global(case, options.order), part_counts(len(case.features), options.fractions)
    true = true_labels(case.model, labels, len(case), case.prediction)
    known = _known_rows(case, recipe)
    rows = ranked_rows(
        explanation,
        case,
        recipe,
        explained=options.explained,
        fill=options.fill,
        absolute=options.absolute,
        shared=shared,
        training=training,
    )
    outputs = rows.training.prediction if needs_outputs(case) else np.zeros((len(recipe.y), 1))
    classes = true_labels(case.model, recipe.y, len(recipe.y), outputs)
    study = RetrainingStudy(rows, true, np.asarray(classes, dtype=np.float64), options, counts)
    root = case.seed.child("removal and retraining")
    own = study.places(rows.training_scores, rows.test_scores, root.child("order"), shared)
    leak = study.leak(own[0], root) if not shared else None
    found = np.stack([study.accuracies(own, root, seed) for seed in range(options.seeds)])
    drawn = case.explanation_cache.get(
        ("random ranking, retrained", recipe, *study.setting(shared)),
        lambda: np.stack([study.accuracies(study.drawn(root, shared, s), root, s) for s in range(options.seeds)]),
    )
    intact = case.explanation_cache.get(
        ("all features, retrained", recipe, options.seeds, study.known_labels),
        lambda: np.stack([study.intact(root, seed) for seed in range(options.seeds)]),
    )
    estimate = _estimate(found, drawn, intact, study.fixed(own), leak, options)
    return replace(estimate, notes=(*estimate.notes, *known))


def _known_rows(case: Case, recipe: Recipe) -> tuple[Note, ...]:
    """A note where rows of the case are training rows; ``InputError`` for a recipe whose rows or labels do not fit."""
    try:
        x = read_like(case, recipe.x)
        true_labels(case.model, recipe.y, len(recipe.y), case.prediction)
    except InputError as error:
        raise InputError(f"the training rows of the recipe do not fit the model: {error}") from error
    known = int(rows_also_in(case.rows.x, x).sum())
    if not known:
        return ()
    text = f"{known} of {len(case)} rows are training rows of the recipe; accuracies at them are too high"
    return (Note("training rows", text),)


def needs_outputs(case: Case) -> bool:
    """Whether labels are resolved by the model's outputs: those of classifiers."""
    return bool(case.model.kind.is_classifier)


@dataclass(frozen=True, eq=False)
class RetrainingStudy:
    """The rows of one score, their true labels, and the accuracies (row, fraction) of models trained for it."""

    rows: RankedRows
    true: Any
    training_labels: Floats
    options: RetrainingOptions
    counts: list[int]

    @property
    def known_labels(self) -> tuple[float, ...]:
        """The true labels as a key."""
        return tuple(map(float, np.ravel(self.true)))

    def setting(self, shared: bool) -> tuple[Any, ...]:
        """What random rankings depend on, as a key."""
        one = self.options
        return one.keep, tuple(one.fractions), one.seeds, one.fill, shared, self.known_labels

    def places(self, training: Floats, test: Floats, seed: Seed, shared: bool) -> tuple[Ints, Ints]:
        """Rankings of the training and the test rows."""
        rows = self.rows
        return (
            ranks(training, rows.training.rows.ids, seed, shared),
            ranks(test, rows.case.rows.ids, seed, shared),
        )

    def drawn(self, root: Seed, shared: bool, number: int) -> tuple[Ints, Ints]:
        """Random rankings, one for all rows or one for each."""
        seed, parts = root.child("random order", number), len(self.rows.case.features)
        flat = [np.zeros((len(case), parts)) for case in (self.rows.training, self.rows.case)]
        return self.places(flat[0], flat[1], seed, shared)

    def accuracies(self, places: tuple[Ints, Ints], root: Seed, number: int) -> Floats:
        """Correctness (row, fraction) of models trained without the parts, on rows without them."""
        masks = [list(removed_parts(one, self.counts, self.options.keep)) for one in places]
        found = [
            self._trained(self.rows.moved(training, False), self.rows.moved(test, True), root, number)
            for training, test in zip(*masks)
        ]
        return np.stack(found, axis=1)

    def intact(self, root: Seed, number: int) -> Floats:
        """Correctness (row,) of a model trained on the rows as they are."""
        return self._trained(self.rows.training.rows.x, self.rows.case.rows.x, root, number)

    def fixed(self, places: tuple[Ints, Ints]) -> Floats:
        """Correctness (row, fraction) of the model itself on rows without the parts."""
        masks = removed_parts(places[1], self.counts, self.options.keep)
        return np.stack([self._correct(self.rows.case, self.rows.moved(mask, True)) for mask in masks], axis=1)

    def leak(self, places: Ints, root: Seed) -> MaskLeak:
        """Whether the masks of the training rows tell their class; of a regression, whether it is above the median."""
        values = self.training_labels
        classes = values > np.median(values) if not needs_outputs(self.rows.case) else values
        masks = [mask for mask in removed_parts(places, self.counts, False) if not mask.all() and mask.any()]
        return measure_mask_leak(masks, classes.astype(np.int64), root)

    def _trained(self, training: Any, test: Any, root: Seed, number: int) -> Floats:
        recipe, case = self.rows.recipe, self.rows.case
        fitted = recipe.train(self.rows.in_recipes_form(training), recipe.y, root.child("training", number))
        return self._correct(with_model(case, comparable_model(case, fitted)), test)

    def _correct(self, case: Case, x: Any) -> Floats:
        """Whether each row is decided for its label; of a regression 1 − error² / variance of the training labels."""
        outputs = to_floats(case.outputs(x))
        if needs_outputs(case):
            return np.asarray(predicted_class(outputs, case.model.gives) == self.true, dtype=np.float64)
        return np.asarray(1.0 - (outputs[:, 0] - self.true) ** 2 / self.training_labels.var())


def _estimate(
    found: Floats, drawn: Floats, intact: Floats, fixed: Floats, leak: MaskLeak | None, options: RetrainingOptions
) -> Estimate:
    """The score from accuracies (seed, row, fraction)."""
    gaps = (found - drawn).mean(axis=2)
    seeds, rows = gaps.shape
    values, stderr = gaps.mean(axis=0), gaps.std(axis=0, ddof=1) / np.sqrt(seeds)
    over_seeds = gaps.mean(axis=1).std(ddof=1) / np.sqrt(seeds)
    over_rows = values.std(ddof=1) / np.sqrt(rows) if rows > 1 else np.nan
    count = trainings(options.fractions, options.seeds)
    notes = [Note("trainings", f"{count} models were trained by the recipe, {options.seeds} seeds for each setting")]
    extra = {
        "accuracy": found.mean(axis=0),
        "random_accuracy": drawn.mean(axis=0),
        "without_retraining": fixed,
        "intact_accuracy": intact.mean(axis=0),
        "mean_stderr": np.array([np.hypot(over_seeds, over_rows)]),
    }
    if leak is not None:
        extra["mask_alone"] = np.array([leak.accuracy])
        extra["mask_alone_interval"] = np.array([leak.interval.low, leak.interval.high])
        extra["chance"] = np.array([leak.chance])
        text = (
            f"a logistic model that sees only the masks reaches accuracy {leak.accuracy:.3g} "
            f"[{leak.interval.low:.3g}, {leak.interval.high:.3g}] where a constant guess reaches {leak.chance:.3g}"
        )
        if leak.found:
            text += f"; the masks tell the class, so that the score is undefined (it would be {values.mean():+.3g})"
            return Estimate(np.full(rows, np.nan), notes=(*notes, Note("mask leak", text)), extra=extra)
        known = "" if np.isfinite(leak.accuracy) else "; too few training rows to tell"
        notes.append(Note("mask alone", text + known))
    return Estimate(values, stderr, notes=tuple(notes), extra=extra)
