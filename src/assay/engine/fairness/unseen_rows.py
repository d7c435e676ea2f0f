# SPDX-License-Identifier: Apache-2.0
"""Models trained by a recipe on some of its rows, and asked about the others, which they have not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.engine.influence.refits import take_training
from assay.engine.retraining.labelled_rows import true_labels
from assay.engine.retraining.model_retraining import comparable_model
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.rows import to_floats


@dataclass(frozen=True, eq=False)
class UnseenPart:
    """A model trained without ``rows``: the case of it at these rows and at those it was trained on, with labels."""

    rows: Case
    labels: Ints
    trained_on: Case


def unseen_part(case: Case, recipe: Recipe, left_out: Ints, seed: Seed) -> UnseenPart:
    """The model that the recipe trains without the rows ``left_out`` (positions of its rows)."""
    kept = np.setdiff1d(np.arange(len(recipe.y)), left_out)
    x, y = take_training(recipe, kept)
    model = comparable_model(case, recipe.train(x, y, seed))
    if model.kind.key != case.model.kind.key:
        raise CapabilityError(
            f"the recipe trains a model that gives {model.kind}, {case.model.name} gives {case.model.kind}; return the "
            f"same kind of model from fit."
        )
    other, own = take_training(recipe, left_out)
    rows, before = (ask(model, one, label=None, seed=case.seed) for one in (other, x))
    labels = true_labels(model, own, len(rows), rows.prediction)
    return UnseenPart(rows, np.asarray(labels, dtype=np.int64), before)


def unseen_outputs(case: Case, recipe: Recipe, folds: int, seed: Seed) -> tuple[Floats, Ints]:
    """Outputs (row, out) of models that were trained without each fold of the recipe's rows, and the labels (row,)."""
    if not 2 <= folds <= len(recipe.y):
        raise InputError(f"folds={folds}; at least 2 are needed, and at most one for each of {len(recipe.y)} rows.")
    order = seed.child("folds").generator().permutation(len(recipe.y))
    parts = [
        unseen_part(case, recipe, np.sort(part), seed.child("fold", number))
        for number, part in enumerate(np.array_split(order, folds))
    ]
    outputs = np.concatenate([to_floats(part.rows.prediction) for part in parts])
    return outputs, np.concatenate([part.labels for part in parts])
