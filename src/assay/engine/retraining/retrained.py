# SPDX-License-Identifier: Apache-2.0
"""The model trained again with another seed, and what it says of the same rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import PerPart, PerRow
from assay.cases.case import Case
from assay.engine.neighbourhoods.neighbourhood import knowing, named, recomputed
from assay.engine.retraining.label_randomisation import alike, asked_of
from assay.model.adapters.wrap import wrap
from assay.model.model import Model
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.target import class_scores
from assay.nouns.results.result import Explanation

UNEQUAL = 0.02
"""A difference of accuracy (or of R²) from which on models are not compared on equal terms."""


def retrained(case: Case, recipe: Recipe, number: int) -> Model:
    """The model trained for the ``number``-th time on the recipe's rows as they are; once a case."""

    def train() -> Model:
        seed = case.seed.child("retrained", number)
        return beside(case, recipe.train(recipe.x, recipe.y, seed))

    found: Model = case.explanation_cache.kept(("retrained", recipe, number), train)
    return found


def beside(case: Case, obj: Any, told: str = "the recipe trains a model that") -> Model:
    """Another model that can be asked the case's question, counted with its own; ``CapabilityError`` if it cannot."""
    model, own = wrap(obj), case.model
    alike(own, model, told)
    if model.namespace != own.namespace:
        raise CapabilityError(
            f"{model.name} reads {model.namespace} arrays, {own.name} {own.namespace}. Ask each in a case of its own "
            f"and give both explanations to assay.explanation_shift."
        )
    return replace(model, meter=own.meter, batch=own.batch, classes=own.classes or model.classes)


def explained(explanation: Explanation, case: Case, model: Model) -> PerPart:
    """The same explanation (row, part) of the same rows and labels by another model; asked once a case."""

    def explain() -> PerPart:
        other = asked_of(case, model)
        own, theirs = case.prediction.shape[1], other.prediction.shape[1]
        if own != theirs:
            raise CapabilityError(
                f"{model.name} gives {theirs} outputs a row, {case.model.name} gives {own}. Both must be the same kind "
                f"of model on the same classes, in order."
            )
        return recomputed(explanation, knowing(other, other.prediction))

    found: PerPart = case.explanation_cache.kept(("explained", named(explanation), model), explain)
    return found


def skill(case: Case, true: Any) -> PerRow:
    """What each row adds to accuracy, or to R²: its mean over rows is either."""
    if case.model.gives == "values":
        return np.asarray(1.0 - (case.prediction[:, 0] - true) ** 2 / true.var())
    return np.asarray(class_scores(case.prediction, case.model.gives).argmax(axis=1) == true, dtype=np.float64)
