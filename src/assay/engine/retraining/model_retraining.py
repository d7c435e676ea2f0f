# SPDX-License-Identifier: Apache-2.0
"""The model retrained with another seed, and its explanations of the same rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import PerPart, PerRow
from assay.cases.case import Case
from assay.engine.neighbourhoods.neighbourhood import explanation_key, recompute_values, with_outputs
from assay.engine.retraining.label_randomisation import check_same_classes, with_model
from assay.model.adapters.wrap import wrap
from assay.model.model import Model
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import Explanation

ACCURACY_TOLERANCE = 0.02
"""Difference in accuracy (or R²) above which two models are not comparable."""


def retrain(case: Case, recipe: Recipe, number: int) -> Model:
    """The ``number``-th model retrained on the recipe's rows with another seed; trained once per case."""

    def train() -> Model:
        seed = case.seed.child("retrained", number)
        return comparable_model(case, recipe.train(recipe.x, recipe.y, seed))

    model: Model = case.explanation_cache.get_object(("retrained", recipe, number), train)
    return model


def comparable_model(case: Case, obj: Any, subject: str = "the recipe trains a model that") -> Model:
    """Wrap another model for the case, sharing the meter of the case's model.

    ``CapabilityError`` if it is of another kind, has other classes, or reads another type of array; ``subject`` names
    the model in the message.
    """
    model, own = wrap(obj), case.model
    check_same_classes(own, model, subject)
    if model.namespace != own.namespace:
        raise CapabilityError(
            f"{model.name} reads {model.namespace} arrays, {own.name} {own.namespace}. Explain each in a case of its "
            f"own and give both explanations to assay.explanation_shift."
        )
    return replace(model, meter=own.meter, batch=own.batch, classes=own.classes or model.classes)


def explain_model(explanation: Explanation, case: Case, model: Model) -> PerPart:
    """The same explanation (row, part) of the same rows and labels for another model; computed once per case."""

    def explain() -> PerPart:
        other = with_model(case, model)
        own, theirs = case.prediction.shape[1], other.prediction.shape[1]
        if own != theirs:
            raise CapabilityError(
                f"{model.name} gives {theirs} outputs per row, {case.model.name} gives {own}. Both must be the same "
                f"kind of model, with the same classes in the same order."
            )
        return recompute_values(explanation, with_outputs(other, other.prediction))

    values: PerPart = case.explanation_cache.get_object(("explained", explanation_key(explanation), model), explain)
    return values


def accuracy_terms(case: Case, true: Any) -> PerRow:
    """Terms (row,) whose mean over rows is the accuracy (R² of a regression)."""
    if case.model.gives == "values":
        return np.asarray(1.0 - (case.prediction[:, 0] - true) ** 2 / true.var())
    return np.asarray(predicted_class(case.prediction, case.model.gives) == true, dtype=np.float64)
