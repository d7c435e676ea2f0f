# SPDX-License-Identifier: Apache-2.0
"""Under how many models, trained again, a counterfactual still leads to the decision wanted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from assay.basics.types import Array, Floats, Masks
from assay.cases.case import Case
from assay.engine.influence.refits import take_training
from assay.engine.recourse.question import Question
from assay.engine.retraining.label_randomisation import with_model
from assay.engine.retraining.model_retraining import comparable_model, retrain
from assay.model.model import Model
from assay.nouns.inputs.recipe import Recipe


def refitted_models(case: Case, recipe: Recipe, refits: int) -> tuple[list[Model], list[Model]]:
    """``refits`` models of other seeds, and as many of training rows drawn again with replacement."""
    again = [retrain(case, recipe, number) for number in range(refits)]
    drawn = []
    for number in range(refits):
        seed = case.seed.child("bootstrap", number)
        rows = seed.generator().integers(len(recipe.x), size=len(recipe.x))
        drawn.append(comparable_model(case, recipe.train(*take_training(recipe, rows), seed)))
    return again, drawn


def valid_shares(question: Question, models: list[Model], x: Array, has: Masks) -> Floats:
    """The share of the models that decide as wanted at ``x`` (row, column), by their own thresholds, without a margin.

    NaN for rows without a counterfactual (``has`` is false).
    """
    which = np.arange(len(question.case))
    plain = replace(question, margin=0.0)
    found = [plain.accepts(with_model(question.case.at(x), model).outputs(x), which) for model in models]
    return np.where(has, np.mean(found, axis=0), np.nan)
