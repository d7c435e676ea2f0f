# SPDX-License-Identifier: Apache-2.0
"""Share of features that must be removed, in the explanation's order, until the predicted class changes."""

from __future__ import annotations

import numpy as np

from assay.basics.types import Floats, Ints, PerRow
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.cases.sibling_targets import link_sibling_cases
from assay.engine.attributions.class_contrast import class_labels
from assay.engine.removal.ordered_removal import perturbation_curve
from assay.nouns.results.result import Explanation


def first_flip(explanation: Explanation, case: Case, remove: Removal, steps: int) -> PerRow:
    """Share (row,) of a row's features removed when its label is first predicted in less than half of the fillings.

    ∞ where the label is predicted with all features removed; NaN where it is not predicted at the row, and where a
    value of the explanation is NaN.
    """
    (decided,) = case.explanation_cache.get_object(
        "decision", lambda: link_sibling_cases(case, [case.with_target("decision")])
    )
    removed, rate = perturbation_curve(explanation, decided, remove, steps)
    return _first(removed, rate < 0.5, rate, decided.output == 1.0)


def first_flip_and_correction(
    explanation: Explanation, case: Case, true: Ints, remove: Removal, steps: int
) -> tuple[PerRow, PerRow]:
    """As ``first_flip``, and the share removed when the class ``true`` (row,) is first predicted in half the fillings.

    Both come from the same model evaluations. ∞ where the class is never predicted; NaN where it is predicted at the
    row.
    """

    def link() -> tuple[Case, ...]:
        own = case.with_target("decision")
        return link_sibling_cases(case, [own, own.with_target(label=class_labels(case, true))])

    decided, correct = case.explanation_cache.get_object(("decisions", true.tobytes()), link)
    removed, rate = perturbation_curve(explanation, decided, remove, steps)
    _, true_rate = perturbation_curve(explanation, correct, remove, steps)
    return (
        _first(removed, rate < 0.5, rate, decided.output == 1.0),
        _first(removed, true_rate >= 0.5, true_rate, correct.output == 0.0),
    )


def _first(removed: Floats, reached: Floats, value: Floats, defined: Floats) -> PerRow:
    """Share removed (row,) at the first ``reached`` point (row, point); ∞ without one, NaN where not ``defined``."""
    first = np.take_along_axis(removed, reached.argmax(axis=1)[:, None], axis=1)[:, 0]
    share = np.where(reached.any(axis=1), first, np.inf)
    return np.where(defined.astype(bool) & ~np.isnan(value).any(axis=1), share, np.nan)
