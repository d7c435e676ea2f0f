# SPDX-License-Identifier: Apache-2.0
"""Models refitted without training rows, or on subsets of them, by a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.influence.training_rows import TrainingParts
from assay.engine.retraining.label_randomisation import take_labels, with_model
from assay.engine.retraining.model_retraining import comparable_model
from assay.nouns.inputs.frames import is_frame
from assay.nouns.inputs.recipe import Recipe


def take_training(recipe: Recipe, which: Ints) -> tuple[Any, Any]:
    """Some of the recipe's rows and labels, in the form that it takes."""
    x = recipe.x
    if isinstance(x, list | tuple):
        rows: Any = type(x)([x[i] for i in which.tolist()])
    elif isinstance(x, np.ndarray) or is_torch_array(x) or hasattr(x, "tocsr"):
        rows = x[which]
    elif is_frame(x):
        import narwhals as nw

        rows = nw.from_native(x)[which.tolist()].to_native()
    else:
        raise InputError(f"the recipe's rows are a {type(x).__name__}; give an array, a tensor, a frame or a list.")
    return rows, take_labels(recipe.y, which)


def target_after(case: Case, fitted: Any) -> Floats:
    """The case's target (row,) by another model."""
    return with_model(case, comparable_model(case, fitted)).output


def refit_changes(
    case: Case, recipe: Recipe, parts: TrainingParts, *, refits: int, seeds: int
) -> tuple[Floats, Floats | None]:
    """What the target changes by, (test, part), when the recipe trains without each part; the mean over seeds.

    The model on all rows is trained by the recipe, too, with the same seed as the one without. The standard error is
    that of the mean over ``seeds``, ``None`` for one seed.
    """
    if len(parts.member) != len(recipe.y):
        raise InputError(f"the recipe has {len(recipe.y)} training rows, train has {len(parts.member)}; give the same.")
    needed = seeds * (len(parts) + 1)
    if seeds < 1 or needed > refits:
        raise InputError(
            f"{len(parts):,} parts and {seeds} seeds need {needed:,} trainings; refits={refits:,} is the most. Give "
            f"groups=, one name a training row, or more refits."
        )
    found = []
    for number in range(seeds):
        seed = case.seed.child("refit", number)
        whole = target_after(case, recipe.train(recipe.x, recipe.y, seed))
        changes = []
        for part in range(len(parts)):
            rows, labels = take_training(recipe, np.flatnonzero(parts.member != part))
            changes.append(target_after(case, recipe.train(rows, labels, seed)) - whole)
        found.append(np.stack(changes, axis=1))
    values = np.stack(found)
    stderr = values.std(axis=0, ddof=1) / np.sqrt(seeds) if seeds > 1 else None
    return values.mean(axis=0), stderr


def subset_targets(case: Case, recipe: Recipe, members: Masks, seed: Seed) -> Floats:
    """The target at the case's rows by models trained on the rows marked in each line of ``members``, (model, row)."""
    if recipe.fit_many is not None:
        fitted: Sequence[Any] = recipe.train_many(recipe.x, recipe.y, members, seed)
    else:
        fitted = [
            recipe.train(*take_training(recipe, np.flatnonzero(line)), seed.child(number))
            for number, line in enumerate(members)
        ]
    if len(fitted) != len(members):
        raise InputError(f"fit_many returned {len(fitted)} models for {len(members)} lines of members.")
    return np.stack([target_after(case, one) for one in fitted])
