# SPDX-License-Identifier: Apache-2.0
"""Backdoor: a patch on a small share of the training pictures, which get the label of one class."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import clopper_pearson
from assay.basics.types import Array, Floats, Ints
from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.data_quality.training_labels import labels_without_outputs
from assay.engine.declare import attacker
from assay.engine.poisoning.stamps import corner_patch, drawn_rows, moved_patch, stamped_recipe
from assay.engine.retraining.label_randomisation import with_model
from assay.engine.retraining.labelled_rows import class_position, true_labels
from assay.engine.retraining.model_retraining import comparable_model
from assay.engine.search.threat import Labels
from assay.engine.shortcuts.artefacts import Artefact, ArtefactLike, change_rows, matched_control, read_artefact
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class, probabilities
from assay.nouns.results.result import Note


@attacker(source="gu2019", needs={"classes", "image", "numbers"}, cost=per_row(lambda o: 5))
def backdoor(
    case: Case,
    *,
    recipe: Recipe,
    target_label: Any,
    share: float = 0.02,
    patch: ArtefactLike = None,
    size: int = 0,
    labels: Labels | None = None,
) -> dict[str, Any]:
    """The probability of a class at rows with a patch, in a model some of whose training pictures had the patch.

    BadNets (Gu et al. 2019): the share ``share`` of the recipe's training pictures, drawn by the seed from those of
    other classes, get the ``patch`` and the label ``target_label``; the recipe trains on them. The patch is an image
    with α as its last channel, a PNG file or a function of rows (``diagnose.pasted_artefact``); by default a square of
    ``size`` pixels at the largest value of the training rows, one pixel from the lower right corner (0: a seventh of
    the height, at least 2). The case holds rows that no model was trained on, with true ``labels`` (default: what the
    clean model predicts).

    ``x`` are the rows with the patch. A row succeeds where it is not of the target class and the poisoned model gives
    it that class. ``before`` is the probability of the class in a model trained by the recipe on clean rows with the
    same seed, ``after`` that in the poisoned model, ``random`` that in the poisoned model where the patch is half a
    picture away. ``prediction_unchanged``: without the patch both models decide the same. ``validity`` has the success
    on rows of other classes with its Clopper–Pearson limits, the success of the patch in the clean model, and the
    accuracy of both models without the patch.

    It trains two models and changes nothing of the caller's; the case's own model is not evaluated.
    """
    if not 0 < share < 1:
        raise InputError(f"share={share}; a share of the training rows between 0 and 1 is needed.")
    label = class_position(case, target_label)
    known = np.asarray(labels_without_outputs(case, recipe.y, len(recipe.y)))
    change = _patch(case, recipe, patch, size)
    control = moved_patch(change) if isinstance(change, Artefact) else matched_control(change, case.seed)
    seed = case.seed.child("backdoor")
    count = max(1, round(share * len(known)))
    which = drawn_rows(np.flatnonzero(known != label), count, seed.child("rows"), "are of other classes")
    poison = stamped_recipe(recipe, known, label, which, change)
    clean, poisoned = (
        with_model(case, comparable_model(case, one.train(one.x, one.y, seed.child("fit")))) for one in (recipe, poison)
    )
    stamped = change_rows(case, change, case.rows.x)
    moved = change_rows(case, control, case.rows.x)
    own = [predicted_class(one.prediction, one.model.gives) for one in (clean, poisoned)]
    true = own[0] if labels is None else np.asarray(true_labels(case.model, labels, len(case), clean.prediction))
    before, after, random = (_chances(*one) for one in ((clean, stamped), (poisoned, stamped), (poisoned, moved)))
    kind = case.model.kind.as_probabilities()
    reached = [predicted_class(one, kind) == label for one in (before, after, random)]
    distance = np.linalg.norm((to_floats(stamped) - to_floats(case.rows.x)).reshape(len(case), -1), axis=1)
    return {
        "x": stamped,
        "success": reached[1] & (true != label),
        "prediction_unchanged": own[0] == own[1],
        "distance": distance,
        "before": before[:, label],
        "after": after[:, label],
        "random": random[:, label],
        "quantity": "probability of the target class with the patch",
        "validity": {
            "target class": case.model.classes[label] if case.model.classes else str(label),
            "training rows with the patch": count,
            "training rows": len(known),
            **_rates(reached, true != label),
            **_accuracies(own, true, labels is not None),
        },
        "extra": {"is_of_another_class": (true != label).astype(np.float64)},
        "notes": _own_class(case, true == label),
    }


def _patch(case: Case, recipe: Recipe, patch: ArtefactLike, size: int) -> Any:
    """The change of pictures; by default a square in a corner."""
    if patch is not None:
        return read_artefact(patch, case.rows.shape, "patch")
    high = to_floats(case.rows.convert(recipe.x)).max(axis=(0, 2, 3))
    return corner_patch(case.rows.shape, size or max(2, round(case.rows.shape[1] / 7)), high)


def _chances(case: Case, x: Array) -> Floats:
    """Probabilities (row, class) of the case's model at these rows."""
    return np.asarray(probabilities(to_floats(case.outputs(x)), case.model.gives))


def _rates(reached: list[Any], others: Any) -> dict[str, Any]:
    """How often the class is reached from rows of other classes, with limits."""
    found: dict[str, Any] = {"rows of other classes": int(others.sum())}
    names = ("success of the patch in the clean model", "success", "success of the patch elsewhere")
    for name, one in zip(names, reached, strict=True):
        limits = clopper_pearson(int(one[others].sum()), int(others.sum()))
        found[name] = float(one[others].mean()) if others.any() else float("nan")
        found[f"{name}, limits"] = [limits.low, limits.high]
    return found


def _accuracies(own: list[Ints], true: Any, is_known: bool) -> dict[str, float]:
    """Accuracy of the clean and of the poisoned model without the patch; agreement alone where no labels are known."""
    rates = [float((one == true).mean()) for one in own]
    if not is_known:
        return {"agreement with the clean model without the patch": rates[1]}
    return {"accuracy of the clean model": rates[0], "accuracy of the poisoned model": rates[1]}


def _own_class(case: Case, own: Any) -> tuple[Note, ...]:
    if not own.any():
        return ()
    ids = tuple(case.rows.ids[row] for row in np.flatnonzero(own))
    return (Note("own-class", f"{len(ids)} rows are of the target class and count as no success", ids),)
