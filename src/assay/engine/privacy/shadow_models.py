# SPDX-License-Identifier: Apache-2.0
"""Shadow models: models trained like the one under attack, each on a random half of known rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.privacy.likelihood_ratio import finite_confidence, scaled_confidence
from assay.engine.privacy.training_pool import TrainingPool, training_pool
from assay.engine.retraining.label_randomisation import with_model
from assay.engine.retraining.labelled_rows import outputs_at
from assay.engine.retraining.model_retraining import comparable_model
from assay.nouns.inputs.recipe import Recipe

LEAST_MODELS = 4
"""Fewest shadow models: two on either side of each row."""


def balanced_halves(rows: int, models: int, seed: Seed) -> Masks:
    """Which rows each model is trained on, (model, row): models come in pairs, a random half and its complement.

    So every row is in exactly half of the models, and sizes differ by one row at most.
    """
    if models < LEAST_MODELS or models % 2 or rows < LEAST_MODELS:
        raise InputError(
            f"{models} shadow models on {rows} rows; an even number of models from {LEAST_MODELS} on is needed, and "
            f"{LEAST_MODELS} rows."
        )
    members = np.zeros((models, rows), dtype=bool)
    for pair in range(models // 2):
        order = seed.child("shadow half", pair).generator().permutation(rows)
        members[2 * pair, order[: rows // 2]] = True
        members[2 * pair + 1] = ~members[2 * pair]
    return members


@dataclass(frozen=True, eq=False)
class ShadowEnsemble:
    """Scaled confidences φ of a model and of shadow models at the rows of a pool: training rows first, then others.

    ``own`` (row,) of the model under attack, ``shadows`` and ``members`` (model, row), ``again`` (model, row) of models
    retrained on the same training rows with other seeds; ``labels`` (row,) are class positions. The first ``inside``
    rows are training rows; ``outside`` holds the positions of the others in the case, and ``copies`` is the number of
    the case's rows that were left out because they are training rows.
    """

    own: Floats
    shadows: Floats
    members: Masks
    again: Floats
    labels: Ints
    inside: int
    outside: Ints
    copies: int

    @property
    def is_inside(self) -> Masks:
        """Which rows of the pool are training rows, (row,)."""
        return np.arange(len(self.own)) < self.inside


def shadow_ensemble(case: Case, labels: Any, recipe: Recipe, *, models: int, retrainings: int) -> ShadowEnsemble:
    """Train shadow models on random halves of the recipe's rows and the case's, and evaluate all models on all rows.

    The case holds rows that the model was not trained on, with their true ``labels``. Those that also occur among the
    recipe's rows are training rows: they are left out of the pool. ``retrainings`` models are trained on the recipe's
    rows.
    """
    pool = training_pool(case, labels, recipe)
    outside, true = pool.outside, pool.labels
    target = scaled_confidence(np.concatenate([pool.inner_outputs, case.prediction[outside]]), true, case.model)
    members = balanced_halves(len(true), models, case.seed)

    def confidence(obj: Any) -> Floats:
        model = comparable_model(case, obj)
        asked = with_model(case, model)
        outputs = np.concatenate([outputs_at(asked, recipe.x)[0], asked.prediction[outside]])
        return scaled_confidence(outputs, true, model)

    shadows = np.stack([confidence(one) for one in _train_on(pool, members, case.seed.child("shadow models"))])
    seeds = [case.seed.child("retrained", number) for number in range(retrainings)]
    again = np.array([confidence(recipe.train(recipe.x, recipe.y, seed)) for seed in seeds]).reshape(-1, len(true))
    target, shadows, again = finite_confidence(target, shadows, again)
    return ShadowEnsemble(target, shadows, members, again, true, pool.inside, outside, pool.copies)


def _train_on(pool: TrainingPool, members: Masks, seed: Seed) -> list[Any]:
    """One model for each line of ``members``, by the recipe's own program for many models where it has one."""
    recipe = pool.recipe
    if recipe.fit_many is not None:
        models = list(recipe.train_many(*pool.training(np.arange(len(pool.labels))), members, seed))
        if len(models) != len(members):
            raise InputError(f"fit_many returned {len(models)} models for {len(members)} lines of members.")
        return models
    return [
        recipe.train(*pool.training(np.flatnonzero(line)), seed.child(number)) for number, line in enumerate(members)
    ]
