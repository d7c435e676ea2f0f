# SPDX-License-Identifier: Apache-2.0
"""The model trained again on labels that mean nothing, and the case put to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.cases.case import case as ask
from assay.engine.cost import Given, anew
from assay.engine.retraining.labelled_rows import truth
from assay.model.adapters.wrap import wrap
from assay.model.layer_slices import ROWS, held
from assay.model.model import Model
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.target import class_scores


@dataclass(frozen=True, eq=False)
class Relabelled:
    """A model trained on permuted labels, and how well it knows them: accuracy, R² of a regression, NaN if unasked."""

    model: Model
    learnt: float


def relabelled(case: Case, recipe: Recipe, number: int) -> Relabelled:
    """The refit ``number``; trained once a case, whichever explanations are compared."""
    found: Relabelled = case.explanation_cache.kept(
        ("relabelled", recipe, number), lambda: _trained(case, recipe, number)
    )
    return found


def asked_of(case: Case, model: Model) -> Case:
    """The same question, same labels, put to another model; texts are embedded as that model does."""
    rows = case.rows
    if model.encode is not None and held(ROWS) in rows.carried:
        rows = replace(rows, x=model.encode.embedded(rows.carried[held(ROWS)], rows.carried))
    return replace(case, model=model, rows=rows)


def relabelled_cost(case: Case, o: Given, again: Cost) -> Cost:
    """Explaining once a refit, and asking it about its own training rows."""
    seen = len(o.recipe.x) * case.model.passes if _askable(case) else 0
    return (anew(case, again) + Cost(seen)) * o.refits


def _trained(case: Case, recipe: Recipe, number: int) -> Relabelled:
    seed = case.seed.child("label randomisation", number)
    order = seed.child("order").generator().permutation(len(recipe.y))
    labels = _permuted(recipe.y, order)
    fitted = wrap(recipe.train(recipe.x, labels, seed.child("fit")))
    alike(case.model, fitted)
    own = case.model
    model = replace(fitted, meter=own.meter, batch=own.batch, classes=own.classes or fitted.classes)
    return Relabelled(model, _learnt(model, recipe.x, labels) if _askable(case) else np.nan)


def _permuted(labels: Any, order: Ints) -> Any:
    """The labels in another order, in the caller's own form; ``InputError`` where all are the same."""
    if is_torch_array(labels) or isinstance(labels, np.ndarray):
        other = labels[order]
    elif isinstance(labels, list | tuple):
        other = type(labels)([labels[place] for place in order.tolist()])
    else:
        import narwhals as nw

        other = nw.from_native(labels, series_only=True)[order.tolist()].to_native()
        if hasattr(labels, "index") and hasattr(other, "index"):
            other.index = labels.index  # rows stay in place, labels move
    if len(set(map(str, list(labels)))) < 2:
        raise InputError("all training labels are the same; permuting them changes nothing.")
    return other


def _learnt(model: Model, x: Any, labels: Any) -> float:
    outputs = ask(model, x, label=None).prediction
    true = truth(model, labels, len(outputs), outputs)
    if model.gives != "values":
        return float((class_scores(outputs, model.gives).argmax(axis=1) == true).mean())
    return float(1.0 - ((outputs[:, 0] - true) ** 2).mean() / true.var())


def _askable(case: Case) -> bool:
    """Whether rows that the case does not hold can be asked: those that carry something along cannot."""
    return not case.rows.carried or case.model.encode is not None


def alike(model: Model, fitted: Model, told: str = "the recipe trains a model that") -> None:
    """Raise ``CapabilityError`` where a recipe trains another kind of model, or on other classes; so of any other."""
    if fitted.gives != model.gives or (model.classes and fitted.classes and fitted.classes != model.classes):
        raise CapabilityError(
            f"{told} gives {fitted.gives} of {', '.join(fitted.classes[:8]) or 'no names'}; "
            f"{model.name} gives {model.gives} of {', '.join(model.classes[:8]) or 'no names'}. Both must be "
            f"the same kind of model on the same classes, in order."
        )
