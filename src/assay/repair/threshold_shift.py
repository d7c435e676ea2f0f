# SPDX-License-Identifier: Apache-2.0
"""The decision threshold, or intercept, moved so that decisions fit the labels of the training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs
from assay.engine.declare import repairer
from assay.engine.fairness.bias_numbers import (
    bias_numbers,
    copies_note,
    decisions_of,
    difference_note,
    labelled,
    shows_bias,
)
from assay.engine.fairness.decision_shift import Match, best_offsets
from assay.engine.fairness.unseen_rows import unseen_outputs
from assay.model.transformations.shift_scores import movable_scores, shift_scores
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.finding import Finding

SHARES, ACCURACY = "FAI302", "PER103"
"""The checks that the two kinds of shift answer."""


def _proposals(inputs: AuditInputs, failed: Sequence[Finding]) -> list[Mapping[str, Any]]:
    codes = {finding.code for finding in failed}
    asked = {SHARES: "shares", ACCURACY: "accuracy"}
    return [{"match": match} for code, match in asked.items() if code in codes]


def _audit_cost(inputs: AuditInputs) -> Cost:
    """The training rows, as such and as rows unseen by models of a recipe, and the held-out rows before and after."""
    train = 0 if inputs.train is None else len(inputs.train[1])
    return Cost(4 * train + 4 * len(inputs.case)) * inputs.model.passes_per_row


@repairer(
    source="leino2019",
    needs={"classes", "labels", "train"},
    answers=(SHARES, ACCURACY),
    side_effects="One kind of error falls and another rises, for groups of different base rates in different measure; "
    "the ranking of rows stays, and probabilities are no longer calibrated if they were.",
    proposals=_proposals,
    audit_cost=_audit_cost,
)
def threshold_shift(
    case: Case,
    *,
    train: tuple[Any, Any],
    held_out: tuple[Any, Any],
    match: Literal["shares", "accuracy"] = "shares",
    recipe: Recipe | None = None,
    folds: int = 3,
) -> Mapping[str, Any]:
    """The same model with another decision threshold: a number for each class is added to its scores, for all rows.

    match="shares": the model decides for each class as often as the labels of ``train`` have it, so that the prediction
    bias B is 0 there. match="accuracy": as many decisions on training rows as possible are right. The numbers are added
    to log probabilities (probabilities are normalised again) or to the scores before the link; of all that fit equally
    well, the one that changes least is taken. The shift knows no groups. For two classes every cut is tried; several
    classes are searched, so that B can stay above 0.

    A model that learnt its training rows by heart has no bias there. Where B is not shown to differ from 0 on ``train``
    (accuracy: where no shift has more decisions right) and there is a ``recipe``, the shift is chosen by other models:
    the recipe trains ``folds`` models, each without one part of its rows, which decide about that part. If models of
    other seeds have other biases, this shift is theirs and not that of the model.

    ``before`` and ``after`` have the accuracy and B on ``held_out``, rows not used in training, with limits at 95 %
    (Clopper–Pearson; Agresti and Min). It removes a bias of decisions by construction and changes no score's meaning:
    every other repair of FAI302 has to do better than this. ``CapabilityError`` where the decisions on the training
    rows already fit: give a recipe, or rows of their own as ``train``.
    """
    rows, labels = labelled(case, train, "train")
    test, truth = labelled(case, held_out, "held_out")
    kind, classes = case.model.kind, movable_scores(rows.prediction[:1], case.model.kind).shape[1]
    outputs = rows.prediction
    unseen = recipe is not None and not _can_choose(outputs, labels, kind, match, classes)
    if recipe is not None and unseen:
        outputs, labels = unseen_outputs(case, recipe, folds, case.seed.child("threshold shift"))
    offsets = best_offsets(outputs, labels, kind, match)
    if not np.ptp(offsets) > 0:
        right = float((predicted_class(outputs, kind) == labels).mean())
        raise CapabilityError(
            f"no shift makes the decisions on the {len(labels)} training rows fit better ({right:.1%} are right). If "
            f"the model learnt these rows by heart, give a recipe, or other labelled rows as train."
        )
    model = shift_scores(case.model, offsets)
    before, after = (decisions_of(one, test) for one in (case.model, model))
    names = case.model.classes or tuple(map(str, range(classes)))
    by_class = offsets - offsets[0] if classes == 2 else offsets - offsets.mean()
    largest = np.argsort(-np.abs(by_class), kind="stable")[: 1 if classes == 2 else 5]
    moved = ", ".join(f"{names[i]} {by_class[i]:+.3g}" for i in largest)
    return {
        "model": model,
        "change": f"scores moved to fit the {match} of {len(labels)} training rows"
        f"{f', each unseen by one of {folds} models' if unseen else ''}: {moved}",
        "before": bias_numbers(truth, before, classes),
        "after": bias_numbers(truth, after, classes),
        "notes": (
            *copies_note(rows, test, (train[0], held_out[0])),
            difference_note((before == truth).astype(float), (after == truth).astype(float)),
        ),
    }


def _can_choose(outputs: Floats, labels: Ints, kind: OutputKind, match: Match, classes: int) -> bool:
    """Whether the model's own decisions on the training rows show what to move."""
    if match == "accuracy":
        return bool(np.ptp(best_offsets(outputs, labels, kind, match)) > 0)
    return shows_bias(labels, predicted_class(outputs, kind), classes)
