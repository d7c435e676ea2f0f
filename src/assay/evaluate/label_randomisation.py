# SPDX-License-Identifier: Apache-2.0
"""Data randomisation test."""

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import PerPart
from assay.cases.case import Case
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.neighbourhood import explanation_key, recompute_values
from assay.engine.retraining.label_randomisation import label_randomisation_cost, train_on_random_labels, with_model
from assay.engine.retraining.randomised_weights import rank_correlations
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.result import Estimate, Explanation, Note


@scorer(source="adebayo2018", better="lower", cost=label_randomisation_cost)
def label_randomisation(
    explanation: Explanation, case: Case, *, recipe: Recipe, refits: int = 1, absolute: bool = True
) -> Estimate:
    """Rank correlation of the explanation with that of a model retrained on permuted labels.

    Spearman correlation over features, −1 … 1, with the same explanation, for the same label, of a model trained by
    ``recipe`` on the same rows with permuted labels. Near 0 the explanation depends on what the labels teach; near 1 it
    reflects the data or the architecture. The score is the mean over ``refits`` (``stderr`` over them), of magnitudes
    |φ| if ``absolute``, else of signed values; extra["signed"] and extra["absolute"] have both. It works for any model
    that can be retrained, trees included. Features that a row lacks are excluded. Undefined where either explanation is
    constant.

    extra["refit_accuracy"] is the refit's accuracy on its own permuted labels (R² of a regression; NaN if the rows have
    further inputs). Near chance the refit has learnt nothing, and the score tests an untrained model. Each refit is
    trained once per case.
    """
    if refits < 1:
        raise InputError(f"refits={refits}; at least 1 is needed.")
    correlations, accuracies = [], []
    for number in range(refits):
        refit = train_on_random_labels(case, recipe, number)
        other = with_model(case, refit.model)

        def explain(other: Case = other) -> PerPart:
            return recompute_values(explanation, other)

        after = case.explanation_cache.get(("relabelled", explanation_key(explanation), recipe, number), explain)
        correlations.append(rank_correlations(explanation.values, after, case))
        accuracies.append(refit.training_accuracy)
    signed, magnitude = (np.stack([one[kind] for one in correlations]) for kind in ("signed", "absolute"))
    chosen = magnitude if absolute else signed
    stderr = chosen.std(axis=0, ddof=1) / np.sqrt(refits) if refits > 1 else None
    accuracy = np.full(len(case), np.mean(accuracies))
    text = f"accuracy (or R²) of the refits on their permuted labels: {np.mean(accuracies):.3g}"
    extra = {"signed": signed.mean(axis=0), "absolute": magnitude.mean(axis=0), "refit_accuracy": accuracy}
    return Estimate(chosen.mean(axis=0), stderr, notes=(Note("permuted labels", text),), extra=extra)
