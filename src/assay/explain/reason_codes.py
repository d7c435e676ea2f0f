# SPDX-License-Identifier: Apache-2.0
"""Reason codes of adverse decisions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.engine.coalitions.quantitative_input_influence import estimate_influence, influence_cost
from assay.engine.declare import explainer
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import Estimate


@explainer(source="datta2016", needs={"classes"}, cost=influence_cost)
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
    """Reason codes of adverse decisions: the features that lower a row's score most, against a comparison group.

    The target is the score or probability of the favourable outcome: ``assay.case(model, x, label="granted")``. Values
    are Shapley QII (see ``qii``), in units of the target: a feature with a value below 0 lowers the row's score
    compared with ``comparison`` (for example those who got the outcome); values add up to the score minus the group's
    mean.

    ``description`` is the table to print. A row with an adverse decision (another predicted class) lists its ``top``
    lowest features below 0, lowest first: the row's own value, the influence and its 95 % interval (over the group as a
    sample, from ``folds`` folds of it), "open" where the interval includes 0, and whether the column is ``actionable``.
    Other rows are listed as not adverse. ``group`` is the name of the comparison group in the table.
    ``extra["reasons"]`` (row, top) are the features' positions, −1 where there is none; ``extra["low"]``, ``["high"]``.

    A reason explains the model's score; it does not tell what would change the decision, which a counterfactual does.
    """
    unknown = sorted(set(actionable) - set(case.features.names))
    if unknown or top < 1:
        known = ", ".join(case.features.names[:8])
        raise InputError(
            f"actionable={unknown[:5]}, top={top}; needed are features of the case ({known}), and top ≥ 1."
        )
    found = estimate_influence(case, comparison, "shapley", budget, folds)
    granted = predicted_class(case.prediction, case.model.gives) == case.label
    order = np.argsort(found.values, axis=1, kind="stable")[:, :top]
    lowering = np.take_along_axis(found.values, order, axis=1) < 0
    reasons = np.where(lowering & ~granted[:, None], order, -1)
    lines: list[str] = []
    for row in range(len(case)):
        lines.append(_headline(case, found, row, bool(granted[row]), group))
        lines.extend(_reason_lines(case, found, row, reasons[row], actionable))
    return replace(found, description=tuple(lines), extra={**found.extra, "reasons": reasons.astype(np.float64)})


def _headline(case: Case, found: Estimate, row: int, granted: bool, group: str) -> str:
    """Row, decision, score and the comparison group's mean."""
    decision = f"{'' if granted else 'not '}{case.classes[row]}"
    score = f"{case.target.name} {case.output[row]:.3g}; mean of {group} {found.base[row]:.3g}"
    text = f"row {case.rows.ids[row]}: {decision} ({score})"
    return f"{text}. No adverse decision." if granted else f"{text}. Main reasons:"


def _reason_lines(case: Case, found: Estimate, row: int, reasons: Ints, actionable: Sequence[str]) -> list[str]:
    """One line of text per reason."""
    cells, names = case.part_texts(), case.features.names
    lines = []
    for number, part in enumerate(reasons[reasons >= 0], 1):
        cell = f" = {cells[row][part]}" if cells else ""
        low, high = found.extra["low"][row, part], found.extra["high"][row, part]
        undecided = "; open" if high >= 0 else ""
        ability = "can be changed" if names[part] in actionable else "not in the applicant's hands"
        suffix = f"; {ability}" if actionable else ""
        influence = f"{found.values[row, part]:+.3g} [{low:.3g}, {high:.3g}]"
        lines.append(f"  {number}. {names[part]}{cell}: {influence}{undecided}{suffix}")
    return lines
