# SPDX-License-Identifier: Apache-2.0
"""The same explanation of another class, and how alike the two are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats, Ints, PerPart
from assay.cases.case import Case
from assay.engine.neighbourhoods.neighbourhood import named, recomputed
from assay.engine.retraining.randomised_weights import likeness
from assay.nouns.inputs.target import class_scores
from assay.nouns.results.result import Estimate, Explanation

Choice = Callable[[Case, int, Floats], int]
"""One class for a row (case, row, scores by class), where classes that may not be chosen score −∞."""


def against_class(explanation: Explanation, case: Case, choose: Choice, *, absolute: bool) -> Estimate:
    """Rank correlation of the explanation with that of another class, one a row; which one is told."""
    other = other_classes(case, choose)
    name = ("class", named(explanation), tuple(other.tolist()))

    def again() -> PerPart:
        return recomputed(explanation, case.with_target(label=told_labels(case, other)))

    alike = likeness(explanation.values, case.explanation_cache.once(name, again), case)
    return Estimate(alike["absolute" if absolute else "signed"], extra={**alike, "class": other.astype(np.float64)})


def other_classes(case: Case, choose: Choice) -> Ints:
    """A class (row,) of the model's own, never the label, nor the rival it is compared with."""
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


def told_labels(case: Case, labels: Ints) -> list[str] | Ints:
    """Positions as a caller would tell them: names, where the classes have some."""
    return [case.model.classes[label] for label in labels] if case.model.classes else labels
