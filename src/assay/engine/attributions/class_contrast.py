# SPDX-License-Identifier: Apache-2.0
"""Rank correlation of an explanation with the same explanation of another class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats, Ints, PerPart
from assay.cases.case import Case
from assay.engine.neighbourhoods.neighbourhood import explanation_key, recompute_values
from assay.engine.retraining.randomised_weights import rank_correlations
from assay.nouns.inputs.target import class_scores
from assay.nouns.results.result import Estimate, Explanation

ClassChoice = Callable[[Case, int, Floats], int]
"""Chooses one class for a row from (case, row, scores by class); classes that may not be chosen score −∞."""


def correlate_with_class(explanation: Explanation, case: Case, choose: ClassChoice, *, absolute: bool) -> Estimate:
    """Rank correlation (row,) of the explanation with that of another class; extra["class"] is that class."""
    other = choose_classes(case, choose)
    key = ("class", explanation_key(explanation), tuple(other.tolist()))

    def explain_other() -> PerPart:
        return recompute_values(explanation, case.with_target(label=class_labels(case, other)))

    values = case.explanation_cache.get(key, explain_other)
    correlation = rank_correlations(explanation.values, values, case)
    chosen = correlation["absolute" if absolute else "signed"]
    return Estimate(chosen, extra={**correlation, "class": other.astype(np.float64)})


def choose_classes(case: Case, choose: ClassChoice) -> Ints:
    """One class (row,) of the model per row; never the label, and never the rival class of the target."""
    scores = class_scores(case.prediction, case.model.gives).copy()
    scores[np.arange(len(case)), case.label] = -np.inf
    if isinstance(case.target.rival, int):
        scores[:, case.target.rival] = -np.inf
    free = np.isfinite(scores).sum(axis=1)
    if not free.all():
        raise CapabilityError(
            f"no other class to explain: {case.model.name} has {scores.shape[1]}, and the target is {case.target.name}."
        )
    return np.array([choose(case, row, score) for row, score in enumerate(scores)], dtype=np.int64)


def class_labels(case: Case, labels: Ints) -> list[str] | Ints:
    """Class positions as labels that a case accepts: class names where the model has them, else the positions."""
    return [case.model.classes[label] for label in labels] if case.model.classes else labels
