# SPDX-License-Identifier: Apache-2.0
"""The data randomisation test."""

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import PerPart
from assay.cases.case import Case
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.neighbourhood import named, recomputed
from assay.engine.retraining.label_randomisation import asked_of, relabelled, relabelled_cost
from assay.engine.retraining.randomised_weights import likeness
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.result import Estimate, Explanation, Note


@scorer(source="adebayo2018", better="lower", cost=relabelled_cost)
def label_randomisation(
    explanation: Explanation, case: Case, *, recipe: Recipe, refits: int = 1, absolute: bool = True
) -> Estimate:
    """How alike the explanation stays, in rank, when the model is trained again on permuted labels.

    Spearman correlation over parts, −1 … 1, between the explanation and the same one, for the same label, of a model
    trained by ``recipe`` on the same rows with the labels in random order; near 0 it depends on what labels teach, near
    1 it shows the data or the architecture. The mean over ``refits`` (``stderr`` over them), of magnitudes |φ| if
    ``absolute``, else of signed values; extra["signed"] and extra["absolute"] tell both. It works for any model that
    can be trained again, trees included. Parts a row lacks do not count. Undefined where either explanation is
    constant.

    extra["learnt"] is the refit's accuracy on its own permuted labels (R² of a regression; NaN where rows carry inputs
    along): near chance it has learnt nothing, and this is a test of an untrained model. A refit is trained once a case.
    """
    if refits < 1:
        raise InputError(f"refits={refits}; the model is trained again at least once.")
    alike, learnt = [], []
    for number in range(refits):
        refit = relabelled(case, recipe, number)
        other = asked_of(case, refit.model)

        def again(other: Case = other) -> PerPart:
            return recomputed(explanation, other)

        after = case.explanation_cache.once(("relabelled", named(explanation), recipe, number), again)
        alike.append(likeness(explanation.values, after, case))
        learnt.append(refit.learnt)
    signed, magnitude = (np.stack([one[kind] for one in alike]) for kind in ("signed", "absolute"))
    chosen = magnitude if absolute else signed
    stderr = chosen.std(axis=0, ddof=1) / np.sqrt(refits) if refits > 1 else None
    known = np.full(len(case), np.mean(learnt))
    told = f"refits know {np.mean(learnt):.3g} of their permuted labels (accuracy, or R²)"
    extra = {"signed": signed.mean(axis=0), "absolute": magnitude.mean(axis=0), "learnt": known}
    return Estimate(chosen.mean(axis=0), stderr, notes=(Note("permuted labels", told),), extra=extra)
