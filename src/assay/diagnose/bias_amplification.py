# SPDX-License-Identifier: Apache-2.0
"""Whether a model's decisions depend more on groups, or lean more to a class, than the labels do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.fairness.amplification import (
    Amplification,
    PredictionBias,
    dependence_signs,
    zhao_amplification,
)
from assay.engine.performance.labelled_outputs import LabelledOutputs, labelled_outputs
from assay.engine.retraining.labelled_rows import true_labels
from assay.engine.sensitive_groups import column_values, group_names, sensitive_columns
from assay.nouns.catalogue import Check, Method
from assay.nouns.inputs.frames import is_frame, open_frame
from assay.nouns.results.finding import MAX_ROWS, Finding

AMPLIFICATION, BIAS = 0.05, 0.05
"""Default thresholds of the directional amplification and of the prediction bias."""

MAX_LISTED = 20
"""Most classes and groups that are listed."""

DIRECTIONAL = Check(
    "FAI301",
    "Do the decisions depend more on the group than the labels do?",
    "See FAI110 for the columns through which the group acts; columns that only point to the group are what amplifies. "
    "Refit without them (repair.refit), or give the model columns that say more of the label.",
    AMPLIFICATION,
    "at most",
    severe=0.1,
)
PREDICTION = Check(
    "FAI302",
    "How far is the share of a class among the decisions from its share among the labels?",
    "Shift the decision threshold on training rows (repair.threshold_shift); where many weak features of one direction "
    "cause it, prune them (repair.prune_experts), or train until the optimiser has converged.",
    BIAS,
    "at most",
    severe=0.15,
)
CHECKS = (DIRECTIONAL, PREDICTION)

MEANING = {
    DIRECTIONAL: "Directional bias amplification (Wang and Russakovsky 2021), −1 … 1: mean over groups and classes of "
    "P(decision | group) − P(label | group), counted positive where the labels already lean to the class. 0: the "
    "decisions depend on the group as the labels do; below 0: less. With two groups and two classes it is half of the "
    "increase of the gap in shares. It does not say whether the dependence in the labels is just.",
    PREDICTION: "Prediction bias B (Leino et al. 2019): largest |share of a class among the decisions − share among "
    "the labels|, 0 … 1, 0 is best. A model that is sure of nothing decides for the most frequent class, and has a "
    "large B; so has one whose threshold was moved on purpose, because the two errors cost differently, and one that "
    "was trained on rows with other shares of the classes: compare with the training labels.",
}
ADVICE = {
    check: {
        "pass": "No action needed on this evidence.",
        "fail": check.remedy,
        "undecided": "Give more rows with true labels; the interval contains the threshold.",
    }
    for check in CHECKS
}


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    """One call; the groups of training rows are read where the sensitive column is one of theirs."""
    train, known = inputs.train, {}
    if train is not None and is_frame(train[0]):
        frame = open_frame(train[0])
        known = {name: frame[name].to_list() for name in inputs.groups if name in frame.columns}
    options: dict[str, Any] = {"groups": dict(inputs.groups), **inputs.options_of(method)}
    if train is not None:
        options |= {"train_groups": known, "train_labels": train[1]}
    return [Call((inputs.ask(), inputs.labels), options)]


@diagnostic(source="wang2021", needs={"classes", "labels"}, optional={"groups", "train"}, checks=CHECKS, calls=_calls)
def bias_amplification(
    case: Case,
    labels: Any,
    *,
    groups: Any = (),
    predicted_groups: Any = (),
    train_groups: Any = (),
    train_labels: Any = (),
    level: float = 0.95,
    amplification: float = AMPLIFICATION,
    bias: float = BIAS,
    smallest: int = 10,
    ranges: int = 0,
) -> list[Finding]:
    """Whether decisions depend more on groups (FAI301), or lean more to a class (FAI302), than the true labels do.

    FAI301, for each column of ``groups`` (one group a row, a frame, or a mapping from name to column): directional bias
    amplification A→T of Wang and Russakovsky (2021), the mean over groups a and classes t of
    s(a, t) · [P(decision t | a) − P(label t | a)], s = 1 where a and t occur together more often than if they were
    independent, else −1. s is read from ``train_groups`` and ``train_labels`` where they are given, else from the
    labels themselves; then the estimate is slightly too small where group and label hardly depend on each other. At
    most ``amplification``. With ``predicted_groups`` (one a row, of a model that predicts the group too) there is a
    second finding for T→A: s(a, t) · [P(predicted a | label t) − P(a | label t)]. The evidence has the amplification of
    Zhao et al. (2017), which mixes both directions. Groups with fewer than ``smallest`` rows are left out.

    FAI302: prediction bias B of Leino et al. (2019), share of a class among the decisions minus its share among the
    labels; the largest |B| of all classes, at most ``bias``.

    Intervals are Agresti and Min's for paired rates: FAI301 combines those of the groups (Zou and Donner 2008), FAI302
    is Bonferroni-corrected for classes; both agree with a bootstrap over rows. ``null_interval`` is where the estimate
    lies if label and decision of each row change places at random, within the groups.
    """
    if not (0 < level < 1 and 0 <= amplification < np.inf and 0 <= bias < np.inf) or smallest < 1 or ranges < 0:
        raise InputError(
            f"level={level}, amplification={amplification}, bias={bias}, smallest={smallest}, ranges={ranges}; needed "
            f"are a level between 0 and 1, thresholds of at least 0, at least 1 row, and no ranges (0) or at least 2."
        )
    found = labelled_outputs(case, labels)
    if not case.model.kind.decides:
        why = "The outputs of this model do not show its decisions."
        return [_not_applicable(check, why, case.model.name) for check in CHECKS]
    findings: list[Finding] = []
    columns = sensitive_columns(groups) if _is_given(groups) else {}
    trained, other = (sensitive_columns(one) if _is_given(one) else {} for one in (train_groups, predicted_groups))
    for name, values in columns.items():
        own = group_names(values, len(case), name, ranges)
        known = _training_pairs(case, trained.get(name, ()), train_labels)
        guessed = None
        if name in other:
            guessed = np.array([str(one) for one in column_values(other[name], "predicted_groups")])
            if len(guessed) != len(case):
                raise InputError(f"{len(guessed)} predicted groups for {len(case)} rows. Give one a row.")
        pair = _directional(case, found, own, guessed, known, level, amplification, smallest)
        findings += [one.of(name) if name else one for one in pair]
    return [*findings, _prediction(case, found, _class_labels(case, train_labels), level, bias)]


def _is_given(value: Any) -> bool:
    return value is not None and (isinstance(value, Mapping) or not hasattr(value, "__len__") or len(value) > 0)


def _training_pairs(case: Case, groups: Any, labels: Any) -> tuple[Any, Ints] | None:
    """The groups and labels of the training rows, where both are known."""
    if not len(groups) or not _is_given(labels):
        return None
    named, known = np.array([str(one) for one in groups]), _class_labels(case, labels)
    if known is None or len(known) != len(named):
        raise InputError(f"train_groups has {len(named)} rows, train_labels {len(labels)}; one each a row is needed.")
    return named, known


def _class_labels(case: Case, labels: Any) -> Ints | None:
    """The training labels as positions of classes; ``None`` where there are none."""
    if not _is_given(labels):
        return None
    if not hasattr(labels, "__len__"):
        raise InputError(f"train_labels are one label a training row; got {type(labels).__name__}.")
    width = case.prediction.shape[1]
    return np.asarray(true_labels(case.model, labels, len(labels), np.empty((0, width))), dtype=np.int64)


def _directional(
    case: Case,
    found: LabelledOutputs,
    group: Any,
    guessed: Any,
    known: tuple[Any, Ints] | None,
    level: float,
    threshold: float,
    smallest: int,
) -> list[Finding]:
    """A→T, and T→A where groups are predicted."""
    names, sizes = np.unique(group, return_counts=True)
    kept_names = names[sizes >= smallest]
    if len(kept_names) < 2:
        claim = f"Fewer than two groups have at least {smallest} rows; nothing can be compared."
        return [_not_applicable(DIRECTIONAL, claim, case.model.name)]
    kept = np.isin(group, kept_names)
    classes = found.scores.shape[1]
    place = np.searchsorted(kept_names, group[kept])
    true, decided = (np.asarray(one, dtype=np.int64)[kept] for one in (found.labels, found.predicted))
    train = None
    if known is not None and set(kept_names.tolist()) <= set(known[0].tolist()):
        inside = np.isin(known[0], kept_names)
        train = np.searchsorted(kept_names, known[0][inside]), known[1][inside]
    first, second = (place, true) if train is None else train
    signs = dependence_signs(first, second, len(kept_names), classes)
    again = None
    if guessed is not None:
        inside = np.isin(guessed[kept], kept_names)
        if not inside.all():
            raise InputError(f"predicted_groups: {set(guessed[kept][~inside].tolist())} are no groups of these rows.")
        again = np.searchsorted(kept_names, guessed[kept])
    shared = {
        "amplification of Zhao et al.": zhao_amplification(place, true, decided, classes, again, train),
        "dependence read from": "the labels of these rows" if train is None else "the training rows",
        "groups left out": {str(one): int(n) for one, n in zip(names, sizes) if n < smallest},
    }
    rows = np.flatnonzero(kept)
    forward = Amplification(place, true, decided, signs)
    shares = _shares(found, kept_names, place, true, decided, signs)
    results = [_directional_finding(case, forward, rows, "the group", level, threshold, shared | {"shares": shares})]
    if again is not None:
        back = Amplification(true, place, again, signs.T)
        results.append(_directional_finding(case, back, rows, "the label", level, threshold, shared))
    return results


def _directional_finding(
    case: Case, one: Amplification, rows: Ints, given: str, level: float, threshold: float, evidence: dict[str, Any]
) -> Finding:
    steps = one.steps
    harmful = np.flatnonzero(steps > 0)
    what = ("decisions", "labels") if given == "the group" else ("predicted groups", "groups")
    return judged_finding(
        DIRECTIONAL,
        one.basis,
        level,
        threshold,
        ADVICE[DIRECTIONAL],
        claim=(
            f"On average over groups and classes, the {what[0]} lean {abs(one.value):.3f} "
            f"{'more' if one.value >= 0 else 'less'} than the {what[1]} in the direction that {given} points to."
        ),
        subject=case.model.name,
        estimate=one.value,
        null=0.0,
        null_interval=one.null_interval(level, case.seed.child("labels exchanged", given)),
        n=len(steps),
        meaning=MEANING[DIRECTIONAL],
        affected=float((steps > 0).mean()),
        rows=tuple(case.rows.ids[rows[i]] for i in harmful[:MAX_ROWS]),
        evidence={"direction": "A→T" if given == "the group" else "T→A"} | evidence,
    )


def _shares(
    found: LabelledOutputs, names: Any, place: Ints, true: Ints, decided: Ints, signs: Ints
) -> list[dict[str, Any]]:
    """The share of a class among labels and decisions of each group; of two classes the last."""
    classes = range(signs.shape[1])[-1:] if signs.shape[1] == 2 else range(signs.shape[1])
    lines = [
        {
            "group": str(name),
            "class": found.classes[one] if one < len(found.classes) else str(one),
            "labels": float((true[place == number] == one).mean()),
            "decisions": float((decided[place == number] == one).mean()),
            "labels lean to it": bool(signs[number, one] > 0),
        }
        for number, name in enumerate(names)
        for one in classes
    ]
    return lines[: 2 * MAX_LISTED]


def _prediction(case: Case, found: LabelledOutputs, train: Ints | None, level: float, threshold: float) -> Finding:
    true, decided = (np.asarray(one, dtype=np.int64) for one in (found.labels, found.predicted))
    one = PredictionBias(true, decided, found.scores.shape[1])
    values = one.values
    largest = int(np.abs(values).argmax())
    chosen, value = int(one.counted[largest]), float(values[largest])
    name = found.classes[chosen] if chosen < len(found.classes) else str(chosen)
    sign = "−" if value < 0 else "+"
    wrong = (decided == chosen) & (true != chosen) if value > 0 else (true == chosen) & (decided != chosen)
    rows = np.flatnonzero(wrong)
    sure = found.scores[rows, decided[rows]]
    order = rows[np.argsort(-sure, kind="stable")][:MAX_ROWS]
    return judged_finding(
        PREDICTION,
        one.basis,
        level,
        threshold,
        ADVICE[PREDICTION],
        claim=(
            f"The model decides for {name} in {(decided == chosen).mean():.1%} of the rows, and "
            f"{(true == chosen).mean():.1%} have this label: B = {sign}{abs(value):.3f}."
            f"{'' if train is None else f' Of the training labels, {(train == chosen).mean():.1%} are {name}.'}"
        ),
        subject=case.model.name,
        estimate=abs(value),
        null=0.0,
        null_interval=one.null_interval(level, case.seed.child("labels exchanged", "bias")),
        n=len(true),
        meaning=MEANING[PREDICTION],
        affected=float(wrong.mean()),
        rows=tuple(case.rows.ids[i] for i in order),
        evidence={"classes": _class_shares(found, one)},
    )


def _class_shares(found: LabelledOutputs, one: PredictionBias) -> list[dict[str, Any]]:
    """The shares of the classes among decisions and labels, those with the largest |B| first."""
    values = one.values
    listed = [(int(i), int(one.counted[i])) for i in np.argsort(-np.abs(values), kind="stable")[:MAX_LISTED]]
    return [
        {
            "class": found.classes[c] if c < len(found.classes) else str(c),
            "decisions": float((one.predicted == c).mean()),
            "labels": float((one.true == c).mean()),
            "B": float(values[i]),
        }
        for i, c in listed
    ]


def _not_applicable(check: Check, claim: str, subject: str) -> Finding:
    advice = "Give groups with more rows, or an output that shows the model's decisions."
    return Finding(check.code, "not applicable", claim, subject, meaning=MEANING[check], advice=advice)
