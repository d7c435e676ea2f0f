# SPDX-License-Identifier: Apache-2.0
"""The model retrained on permuted labels, and the case with another model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.engine.cost import Given, cost_of_explaining_again
from assay.engine.retraining.labelled_rows import true_labels
from assay.model.adapters.wrap import wrap
from assay.model.layer_slices import ROWS, carried_name
from assay.model.model import Model
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.target import predicted_class


@dataclass(frozen=True, eq=False)
class RandomLabelModel:
    """A model trained on permuted labels, and its accuracy on them (R² of a regression; NaN if not measured)."""

    model: Model
    training_accuracy: float


def train_on_random_labels(case: Case, recipe: Recipe, number: int) -> RandomLabelModel:
    """The ``number``-th model trained on permuted labels; trained once per case, for all explanations."""
    fitted: RandomLabelModel = case.explanation_cache.get_object(
        ("relabelled", recipe, number), lambda: _train(case, recipe, number)
    )
    return fitted


def with_model(case: Case, model: Model) -> Case:
    """The case with another model: same rows, labels and target; texts are embedded by that model."""
    rows = case.rows
    if model.encode is not None and carried_name(ROWS) in rows.carried:
        rows = replace(rows, x=model.encode.embed(rows.carried[carried_name(ROWS)], rows.carried))
    return replace(case, model=model, rows=rows)


def label_randomisation_cost(case: Case, o: Given, again: Cost) -> Cost:
    """Per refit, the cost of one explanation and of the refit's outputs at its own training rows."""
    training = len(o.recipe.x) * case.model.passes_per_row if _can_predict_training_rows(case) else 0
    return (cost_of_explaining_again(case, again) + Cost(training)) * o.refits


def _train(case: Case, recipe: Recipe, number: int) -> RandomLabelModel:
    seed = case.seed.child("label randomisation", number)
    order = seed.child("order").generator().permutation(len(recipe.y))
    labels = _permute(recipe.y, order)
    fitted = wrap(recipe.train(recipe.x, labels, seed.child("fit")))
    check_same_classes(case.model, fitted)
    own = case.model
    model = replace(fitted, meter=own.meter, batch=own.batch, classes=own.classes or fitted.classes)
    accuracy = _accuracy(model, recipe.x, labels) if _can_predict_training_rows(case) else np.nan
    return RandomLabelModel(model, accuracy)


def _permute(labels: Any, order: Ints) -> Any:
    """The labels in another order, as the same type; ``InputError`` where all are the same."""
    if len(set(map(str, list(labels)))) < 2:
        raise InputError("all training labels are the same; permuting them changes nothing.")
    return take_labels(labels, order)


def take_labels(labels: Any, which: Ints) -> Any:
    """The labels at these positions, repeats allowed, as the same type; the index of a series stays with the rows."""
    if is_torch_array(labels) or isinstance(labels, np.ndarray):
        return labels[which]
    if isinstance(labels, list | tuple):
        return type(labels)([labels[i] for i in which.tolist()])
    import narwhals as nw

    other = nw.from_native(labels, series_only=True)[which.tolist()].to_native()
    if len(which) == len(labels) and hasattr(labels, "index") and hasattr(other, "index"):
        other.index = labels.index
    return other


def _accuracy(model: Model, x: Any, labels: Any) -> float:
    """Accuracy on ``labels``, R² of a regression."""
    outputs = ask(model, x, label=None).prediction
    true = true_labels(model, labels, len(outputs), outputs)
    if model.gives != "values":
        return float((predicted_class(outputs, model.gives) == true).mean())
    return float(1.0 - ((outputs[:, 0] - true) ** 2).mean() / true.var())


def _can_predict_training_rows(case: Case) -> bool:
    """Whether the model can predict rows outside the case: not if the case's rows have further inputs."""
    return not case.rows.carried or case.model.encode is not None


def check_same_classes(model: Model, fitted: Model, subject: str = "the recipe trains a model that") -> None:
    """Raise ``CapabilityError`` if ``fitted`` is another kind of model or has other classes; ``subject`` names it."""
    if fitted.gives != model.gives or (model.classes and fitted.classes and fitted.classes != model.classes):
        raise CapabilityError(
            f"{subject} gives {fitted.gives} of {', '.join(fitted.classes[:8]) or 'no names'}; "
            f"{model.name} gives {model.gives} of {', '.join(model.classes[:8]) or 'no names'}. Both must be the "
            f"same kind of model, with the same classes in the same order."
        )
