# SPDX-License-Identifier: Apache-2.0
"""What a suspected artefact does to a classifier when it is pasted into rows, compared with a control."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Basis
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.retraining.labelled_rows import class_position, true_labels
from assay.engine.search.threat import Labels
from assay.engine.shortcuts.artefacts import ArtefactLike, Change, matched_control, read_artefact
from assay.engine.shortcuts.paste_effects import FLOOR, changed_chances, log_odds
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.inputs.target import predicted_class, probabilities
from assay.nouns.results.finding import MAX_ROWS, Finding

MAX_ODDS, MAX_LOST = 2.0, 0.05
"""Default thresholds: factor on the odds of a class, and accuracy lost, both beyond the control."""

_REMEDY = (
    "Project the artefact out of a layer (repair.class_artefact_compensation), or train on rows with the artefact in "
    "all classes, and audit again."
)

ODDS = Check(
    "SHC302",
    "Does the pasted artefact raise a class beyond what a control does?",
    _REMEDY,
    math.log(MAX_ODDS),
    "at most",
    severe=math.log(10.0),
)
LOST = Check(
    "SHC303",
    "How much accuracy does the pasted artefact cost beyond what a control does?",
    _REMEDY,
    MAX_LOST,
    "at most",
    severe=0.15,
)

MEANING = {
    ODDS: "Mean difference, on the same rows, of the log-odds of the class between rows with the artefact and rows "
    "with the control: 0 if the artefact does no more than the control, ln 2 = 0.69 if it doubles the odds. Large "
    "factors on a class that stays improbable change no decision: read it with SHC303.",
    LOST: "Share of rows that are right with the control and wrong with the artefact, minus the reverse: 0 if the "
    "artefact costs no more than the control. A control that hides less than the artefact makes it look worse.",
}
ADVICE = {
    ODDS: {
        "pass": "No action needed on this evidence, for this artefact and this class.",
        "fail": "The class follows the artefact: search the training rows of the class for it, and use "
        "repair.class_artefact_compensation or train on rows with the artefact in all classes.",
        "undecided": "Give more rows; the interval contains the threshold.",
    },
    LOST: {
        "pass": "No action needed on this evidence.",
        "fail": "Rows with the artefact are decided wrongly: use repair.class_artefact_compensation, or train on rows "
        "with the artefact in all classes.",
        "undecided": "Give more rows with labels; the interval contains the threshold.",
    },
}

LEAST_ROWS = 10
"""Fewest rows on which a class is judged."""


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    options = inputs.options_of(method)
    if inputs.labels is not None:
        options.setdefault("labels", inputs.known_labels)
    return [Call((inputs.case,), options)]


@diagnostic(
    source="li2023",
    needs={"classes", "numbers", "artefact"},
    optional={"labels"},
    checks=(ODDS, LOST),
    calls=_calls,
    audit_cost=lambda inputs: Cost(3 * len(inputs.case)) * inputs.model.passes_per_row,
)
def pasted_artefact(
    case: Case,
    *,
    artefact: ArtefactLike,
    control: ArtefactLike = None,
    toward: Labels | None = None,
    labels: Any = None,
    white: float = 255.0,
    odds: float = MAX_ODDS,
    lost: float = MAX_LOST,
    level: float = 0.95,
) -> list[Finding]:
    """What a suspected artefact does when it is pasted into every row, beyond a control pasted in its place.

    ``artefact`` is an image in the units of the rows with one more channel, its α in 0 … 1, pasted as
    x (1 − α) + α · image; the path of a PNG file with α of the size of the rows, whose white is the number ``white`` in
    the rows; or a function of rows (row, *shape) that gives rows of that shape. An artefact also hides what lies under
    it, so that every number is a paired difference to the ``control``, given in the same ways: an artefact like it that
    should not matter (another text, say). By default the matched occluder: the same α filled with
    each row's own mean there; where a function changes a table, the values of another row.

    SHC302: mean difference of log-odds of the class ``toward``, with probabilities kept 10⁻⁶ from 0 and 1, at most
    ln ``odds``; Student's interval. Without ``toward`` it is the class whose log-odds rise most beyond the control on a
    random half of the rows; the other half judges it. SHC303, with true ``labels``: accuracy with the control minus
    accuracy with the artefact, at most ``lost``; Student's interval with one pseudo-row at either bound.
    """
    if not (0 < level < 1 and 1 <= odds < float("inf") and 0 <= lost < 1):
        raise InputError(
            f"level={level}, odds={odds}, lost={lost}; needed are level in (0, 1), odds ≥ 1, lost in [0, 1)."
        )
    if not 0 < white < float("inf"):
        raise InputError(f"white={white}; the number that is white in the rows is above 0: 255 or 1, say.")
    shape = case.rows.shape
    change = read_artefact(artefact, shape, "artefact", white)
    other = matched_control(change, case.seed) if control is None else read_artefact(control, shape, "control", white)
    true = None if labels is None else np.asarray(true_labels(case.model, labels, len(case), case.prediction))
    found = _measure(case, change, other)
    findings = [_raised(case, found, toward, math.log(odds), level, control is None)]
    return findings if true is None else [*findings, _lost(case, found, true, lost, level)]


@dataclass(frozen=True, eq=False)
class _Measured:
    """Probabilities (row, class) and decisions (row,) as the rows are, with the artefact, and with the control."""

    chances: tuple[Floats, Floats, Floats]
    decisions: tuple[Ints, Ints, Ints]


def _measure(case: Case, change: Change, control: Change) -> _Measured:
    before = np.asarray(probabilities(case.prediction, case.model.gives))
    which = np.arange(len(case))
    others = [changed_chances(case, which, _at_any_place(one)) for one in (change, control)]
    kind = case.model.kind.as_probabilities()
    chances = (before, others[0], others[1])
    own = predicted_class(case.prediction, case.model.gives)
    return _Measured(chances, (own, predicted_class(others[0], kind), predicted_class(others[1], kind)))


def _at_any_place(change: Change) -> Callable[[Floats, Ints], Floats]:
    """The change as one that gets the places of the rows too."""
    return lambda x, at: change(x)


def _raised(case: Case, found: _Measured, toward: Any, limit: float, level: float, is_matched: bool) -> Finding:
    gains = log_odds(found.chances[1]) - log_odds(found.chances[2])
    which, label = _class(case, gains, toward)
    if len(which) < LEAST_ROWS:
        return _too_few(case, len(which))
    own = gains[which, label]
    name = case.model.classes[label] if case.model.classes else str(label)
    before, pasted, hidden = (np.maximum(chances[which, label], FLOOR) for chances in found.chances)
    order = which[np.argsort(-own, kind="stable")]
    return judged_finding(
        ODDS,
        Basis("student", {"values": own}),
        level,
        limit,
        ADVICE[ODDS],
        claim=(
            f"The artefact multiplies the odds of `{name}` by {np.exp(own.mean()):.3g} compared with the control; "
            f"P({name}) is {before.mean():.2g} as the rows are, {pasted.mean():.2g} with the artefact, "
            f"{hidden.mean():.2g} with the control."
        ),
        subject=case.model.name,
        estimate=float(own.mean()),
        null=0.0,
        n=len(which),
        affected=float((own > limit).mean()),
        meaning=MEANING[ODDS],
        rows=tuple(case.rows.ids[row] for row in order[:MAX_ROWS] if gains[row, label] > limit),
        evidence={
            "class": name,
            "class chosen on": len(case) - len(which) if toward is None else 0,
            "control": "matched occluder" if is_matched else "given",
            "factor of odds": float(np.exp(own.mean())),
            "share of rows that rise": float((pasted > before).mean()),
            "median factor of probability": float(np.median(pasted / before)),
            "median factor with the control": float(np.median(hidden / before)),
        },
    )


def _class(case: Case, gains: Floats, toward: Any) -> tuple[Ints, int]:
    """The rows that judge the class, and the class: the one named, or the one that rises most on the other half."""
    if toward is not None:
        return np.arange(len(case)), class_position(case, toward)
    order = case.seed.child("class of the artefact").generator().permutation(len(case))
    chosen, which = order[: len(case) // 2], np.sort(order[len(case) // 2 :])
    return which, int(gains[chosen].mean(axis=0).argmax()) if len(chosen) else 0


def _lost(case: Case, found: _Measured, true: Any, limit: float, level: float) -> Finding:
    own, pasted, hidden = (np.asarray(one == true, dtype=np.float64) for one in found.decisions)
    values = hidden - pasted
    return judged_finding(
        LOST,
        Basis("bounded", {"values": values, "bounds": np.array([-1.0, 1.0])}),
        level,
        limit,
        ADVICE[LOST],
        claim=(
            f"Accuracy is {own.mean():.3f} as the rows are, {pasted.mean():.3f} with the artefact and "
            f"{hidden.mean():.3f} with the control."
        ),
        subject=case.model.name,
        estimate=float(values.mean()),
        null=0.0,
        n=len(values),
        affected=float((values > 0).mean()),
        meaning=MEANING[LOST],
        rows=tuple(case.rows.ids[row] for row in np.flatnonzero(values > 0)[:MAX_ROWS]),
        evidence={
            "accuracy": float(own.mean()),
            "accuracy with the artefact": float(pasted.mean()),
            "accuracy with the control": float(hidden.mean()),
        },
    )


def _too_few(case: Case, rows: int) -> Finding:
    return Finding(
        ODDS.code,
        "not run",
        f"{rows} rows are too few to judge the class; at least {LEAST_ROWS} are needed.",
        case.model.name,
        n=rows,
        meaning=MEANING[ODDS],
        advice=f"Give at least {2 * LEAST_ROWS} rows, or name the class (toward=…) and give {LEAST_ROWS}.",
    )
