# SPDX-License-Identifier: Apache-2.0
"""How many parts must go, in the explanation's order, until the decision is another one."""

from __future__ import annotations

import numpy as np

from assay.basics.types import Floats, Ints, PerRow
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.cases.sibling_targets import link_sibling_cases
from assay.engine.attributions.class_contrast import told_labels
from assay.engine.removal.ordered_removal import ordered_curve
from assay.nouns.results.result import Explanation


def first_flip(explanation: Explanation, case: Case, remove: Removal, steps: int) -> PerRow:
    """Share (row,) of a row's parts gone where its label is first predicted in less than half of the fillings.

    ∞ where it stays predicted with all parts gone; NaN where it is not predicted at the row, and without an order.
    """
    (decided,) = case.explanation_cache.kept(
        "decision", lambda: link_sibling_cases(case, [case.with_target("decision")])
    )
    gone, held = ordered_curve(explanation, decided, remove, steps)
    return _first(gone, held < 0.5, held, decided.output == 1.0)


def first_flips(
    explanation: Explanation, case: Case, truth: Ints, remove: Removal, steps: int
) -> tuple[PerRow, PerRow]:
    """As ``first_flip``, and the share gone where class ``truth`` (row,) is first predicted in half of the fillings.

    Both read off the same passes. ∞ where that does not happen; NaN where truth is predicted at the row already.
    """

    def together() -> tuple[Case, ...]:
        own = case.with_target("decision")
        return link_sibling_cases(case, [own, own.with_target(label=told_labels(case, truth))])

    decided, right = case.explanation_cache.kept(("decisions", truth.tobytes()), together)
    gone, held = ordered_curve(explanation, decided, remove, steps)
    _, mended = ordered_curve(explanation, right, remove, steps)
    return (
        _first(gone, held < 0.5, held, decided.output == 1.0),
        _first(gone, mended >= 0.5, mended, right.output == 0.0),
    )


def _first(gone: Floats, there: Floats, value: Floats, able: Floats) -> PerRow:
    """The share gone (row,) at the first point that is ``there`` (row, point); ∞ without one, NaN where undefined."""
    found = np.where(there.any(axis=1), np.take_along_axis(gone, there.argmax(axis=1)[:, None], axis=1)[:, 0], np.inf)
    return np.where(able.astype(bool) & ~np.isnan(value).any(axis=1), found, np.nan)
