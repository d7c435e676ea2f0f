# SPDX-License-Identifier: Apache-2.0
"""A readable model in the place of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace as changed
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.engine.audit_inputs import AuditInputs
from assay.engine.declare import repairer
from assay.engine.performance.held_out import compare_performance, overlap_notes
from assay.engine.retraining.fine_tuning import require_pair
from assay.engine.retraining.labelled_rows import true_labels
from assay.model.adapters.wrap import wrap
from assay.model.model import Model
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Note


def _proposals(inputs: AuditInputs, failed: Sequence[Finding]) -> list[Mapping[str, Any]]:
    """One attempt with the family that the finding names."""
    named = [str(one.evidence["family"]) for one in failed if one.code == "ITP101" and "family" in one.evidence]
    return [{"family": named[0]}] if named else []


def _audit_cost(inputs: AuditInputs) -> Cost:
    """The held-out rows by both models, some of them twice; distilling reads the training rows too."""
    assert inputs.recipe is not None
    return Cost(6 * len(inputs.case) + len(inputs.recipe.y)) * inputs.model.passes_per_row


@repairer(
    source="rudin2019",
    needs={"classes", "table", "recipe", "labels"},
    answers=("ITP101",),
    side_effects="Rows on which both models disagree get other decisions, maybe more of them in one group; what the "
    "simple model leaves out can come back as a proxy in what it keeps.",
    proposals=_proposals,
    audit_cost=_audit_cost,
)
def replace(
    case: Case,
    *,
    recipe: Recipe,
    held_out: tuple[Any, Any],
    family: Literal["auto", "tree", "rules", "score", "logistic", "additive"] = "auto",
    mode: Literal["relearn", "distil"] = "relearn",
) -> Mapping[str, Any]:
    """A model that a person can read, fitted to the recipe's rows, and its accuracy on held-out rows.

    ``family`` is one of ``diagnose.simpler_model``; "auto" is the one of the best AUC in three-fold cross-validation on
    the recipe's rows. ``mode`` "relearn" fits it to the labels; "distil" to the decisions of the model, so that it
    keeps the model's faults too, and is for explaining or shipping the same decisions. At most 10,000 rows are used.

    ``held_out`` are rows and labels that neither trained nor chose anything; ``before`` and ``after`` have the accuracy
    there, a note the paired difference, another the share of rows on which both decide the same. ``model`` reads the
    same rows; ``recipe`` trains it again. ``baseline`` is a logistic regression of all columns (where that is the
    family: a tree of depth 3), fitted to the same. Whether the price is worth paying is judged by
    ``diagnose.simpler_model``, not here. ``CapabilityError`` for images and texts.
    """
    from assay.interpretable.families import FAMILIES, available, choose_family, draw_rows

    require_pair("held_out", held_out)
    if case.rows.carried:
        raise InputError("the rows have further inputs, which readable families cannot take.")
    seed = case.seed.child("replace")
    codes = _codes(case, recipe, mode)
    rows, drawn = draw_rows(recipe, codes, seed)
    names = [name for name in FAMILIES if name != "additive"] if family == "auto" else [family]
    kept, _ = available(names, int(drawn.max()) + 1)
    chosen, scores, _ = choose_family(kept, rows, drawn, seed, "auc")
    plain = "logistic" if chosen != "logistic" else "tree"
    model, fitted = _model(case, chosen, rows.x, drawn, seed)
    baseline, _ = _model(case, plain, rows.x, drawn, seed)
    before, after, difference = compare_performance(case, model, held_out)
    found, title = FAMILIES[chosen], FAMILIES[chosen].title
    proved = f" {fitted.certificate_.text}." if hasattr(fitted, "certificate_") else ""
    told = recipe.y if mode == "relearn" else [case.model.classes[int(code)] for code in codes]
    what = "labels" if mode == "relearn" else "decisions of the model"
    return {
        "model": model,
        "recipe": changed(recipe, fit=_fit(case, chosen), y=told, regularises=False, fit_many=None),
        "baseline": baseline,
        "baseline_recipe": changed(recipe, fit=_fit(case, plain), y=told, regularises=False, fit_many=None),
        "baseline_change": f"{FAMILIES[plain].title} of the same rows",
        "change": f"{title} of {found.size(fitted)} {found.unit}, fitted to the {what} of {len(drawn)} rows",
        "before": before,
        "after": after,
        "notes": (
            *overlap_notes(recipe.x, held_out[0]),
            difference,
            _agreement(case, model, held_out[0]),
            Note("readable-model", f"{found.text(fitted)}\n{proved.strip()}".strip()),
            *([Note("families", _scores_text(scores))] if scores else []),
        ),
    }


def _codes(case: Case, recipe: Recipe, mode: str) -> Ints:
    """The class numbers (row,) that the model is fitted to."""
    outputs = case.prediction
    if mode == "relearn":
        return np.asarray(true_labels(case.model, recipe.y, len(recipe.y), outputs), dtype=np.int64)
    told = ask(case.model, recipe.x, label=None, seed=case.seed).prediction
    decided = np.asarray(predicted_class(told, case.model.gives), dtype=np.int64)
    if len(np.unique(decided)) < 2:
        raise InputError("the model decides for one class on all training rows; there is nothing to distil.")
    return decided


def _model(case: Case, family: str, x: Any, codes: Ints, seed: Seed) -> tuple[Model, Any]:
    """A fitted family as a model with the classes and the meter of the case's, and the estimator itself."""
    from assay.interpretable.families import fit_family

    fitted = fit_family(family, x, codes, seed, case.model.classes)
    classes = [case.model.classes[code] for code in fitted.codes_.tolist()]
    if tuple(classes) != tuple(case.model.classes):
        raise InputError(f"the training rows have labels of {classes} alone; the model has {list(case.model.classes)}.")
    model = wrap(fitted, classes=classes)
    return changed(model, name=f"{type(fitted).__name__}, of a readable family", meter=case.model.meter), fitted


def _fit(case: Case, family: str) -> Any:
    """The training function of the readable model, for checks that train again."""
    own, classes = case.model, case.model.classes

    def fit(x: Any, y: Any, seed: Seed, strength: float) -> Model:
        none = np.zeros((0, max(len(classes), 2)))
        codes = np.asarray(true_labels(own, y, len(y), none), dtype=np.int64)
        return _model(case, family, x, codes, seed)[0]

    return fit


def _agreement(case: Case, model: Model, x: Any) -> Note:
    """The share of held-out rows on which both models decide the same."""
    one, other = (ask(each, x, label=None, seed=case.seed) for each in (case.model, model))
    same = predicted_class(one.prediction, case.model.gives) == predicted_class(other.prediction, model.gives)
    return Note("agreement", f"both models decide the same on {same.mean():.1%} of {len(same)} held-out rows")


def _scores_text(scores: Mapping[str, float]) -> str:
    listed = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
    return f"AUC out of fold on the recipe's rows, by which the family was chosen: {listed}"
