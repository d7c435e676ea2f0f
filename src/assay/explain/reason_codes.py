# SPDX-License-Identifier: Apache-2.0
"""Reason codes of adverse decisions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.engine.coalitions.quantitative_input_influence import priced, quantified
from assay.engine.declare import explainer
from assay.nouns.inputs.target import class_scores
from assay.nouns.results.result import Estimate


@explainer(source="datta2016", needs={"classes"}, cost=priced)
def reason_codes(
    case: Case,
    *,
    comparison: Any,
    actionable: Sequence[str] = (),
    group: str = "the comparison group",
    top: int = 4,
    budget: int = 2048,
    folds: int = 10,
) -> Estimate:
    """Why a row did not get the outcome asked about: the parts that pull it down most against a comparison group.

    Ask about the favourable outcome: ``assay.case(model, x, label="granted")``, its score or probability as target.
    Values are Shapley QII (see ``qii``), in units of the target: below 0 a part lowers the row's score against
    ``comparison`` (those who got the outcome, say), and they add up to the score minus the group's mean.

    ``told`` is the table to print: one paragraph a row, for a row that the model gives another outcome its ``top``
    lowest parts below 0, lowest first, each with its own value, the influence and its 95 % interval (over the group as
    a sample, ``folds`` parts of it), "open" where the interval reaches 0, and whether the column is ``actionable``. A
    row that gets the outcome has no reasons, and says so. ``group`` is what to call the comparison group there.
    ``extra["reasons"]`` (row, top) are the parts' positions, −1 where there is none; ``extra["low"]``, ``["high"]``.

    A reason says what the model's score rests on, not what would change the decision: that is a counterfactual.
    """
    strange = sorted(set(actionable) - set(case.features.names))
    if strange or top < 1:
        known = ", ".join(case.features.names[:8])
        raise InputError(f"actionable={strange[:5]}, top={top}; needed are parts of the case ({known}), and top ≥ 1.")
    found = quantified(case, comparison, "shapley", budget, folds)
    granted = np.argmax(class_scores(case.prediction, case.model.gives), axis=1) == case.label
    order = np.argsort(found.values, axis=1, kind="stable")[:, :top]
    lowering = np.take_along_axis(found.values, order, axis=1) < 0
    reasons = np.where(lowering & ~granted[:, None], order, -1)
    told: list[str] = []
    for row in range(len(case)):
        told.append(_head(case, found, row, bool(granted[row]), group))
        told.extend(_lines(case, found, row, reasons[row], actionable))
    return replace(found, told=tuple(told), extra={**found.extra, "reasons": reasons.astype(np.float64)})


def _head(case: Case, found: Estimate, row: int, granted: bool, group: str) -> str:
    """Who, what was decided, and against whom."""
    outcome = case.classes[row]
    told = f"row {case.rows.ids[row]}: {'' if granted else 'not '}{outcome} ({case.target.name} {case.output[row]:.3g}"
    told += f"; mean of {group} {found.base[row]:.3g})"
    return f"{told}. No adverse decision." if granted else f"{told}. Main reasons:"


def _lines(case: Case, found: Estimate, row: int, reasons: Ints, actionable: Sequence[str]) -> list[str]:
    """One line a reason."""
    shown, names = case.shown(), case.features.names
    lines = []
    for place, part in enumerate(reasons[reasons >= 0], 1):
        cell = f" = {shown[row][part]}" if shown else ""
        low, high = found.extra["low"][row, part], found.extra["high"][row, part]
        open_ = "; open" if high >= 0 else ""
        can = "can be changed" if names[part] in actionable else "not in the applicant's hands"
        marked = f"; {can}" if actionable else ""
        lines.append(
            f"  {place}. {names[part]}{cell}: {found.values[row, part]:+.3g} [{low:.3g}, {high:.3g}]{open_}{marked}"
        )
    return lines
