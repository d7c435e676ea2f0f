# SPDX-License-Identifier: Apache-2.0
"""What to know about the data before explaining: near-copies, contradicting labels, ids, order, gaps, cues, groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Basis, Interval, clopper_pearson, largest_rate_gap_interval, student_interval
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import counted_finding, judged_finding
from assay.engine.data_quality.exploration_texts import MEANING
from assay.engine.data_quality.explored_rows import ExploredRows
from assay.engine.data_quality.label_patterns import (
    adjacent_agreement,
    agreement_without_effect,
    group_cues,
    is_like_ids,
    largest_missing_gap,
)
from assay.engine.data_quality.training_labels import training_groups
from assay.engine.declare import diagnostic
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.results.finding import MAX_ROWS, Finding

MAX_COPIES, MAX_ORDER, MAX_GAP = 0.02, 0.2, 0.3
"""Default thresholds: share of near-copies, agreement of neighbours by an id, gap where a value is missing."""

COPIES = Check(
    "DAT301",
    "Do held-out rows have near-copies among the training rows?",
    "Keep copies on one side: split by what they have in common, such as a person or a day.",
    MAX_COPIES,
    "at most",
    severe=0.1,
)
CONTRADICTIONS = Check(
    "DAT302", "Do equal or nearly equal training rows have different labels?", "Look at the named rows."
)
IDS = Check(
    "DAT303",
    "Does a column that numbers the rows predict the label?",
    "Train without this column: it shows in which order the rows were collected.",
    MAX_ORDER,
    "at most",
    severe=0.6,
)
ORDER = Check(
    "DAT304", "Do training rows that follow each other have the same label?", "Shuffle rows before splitting."
)
GAPS = Check(
    "DAT305",
    "Does it predict the label that a value is missing?",
    "Find out why the value is missing: if that is known only after the label, train without the column.",
    MAX_GAP,
    "at most",
    severe=0.7,
)
CUES = Check(
    "DAT306", "Does a single column predict the label in one group only?", "Explain the groups apart; audit each."
)
GROUPS = Check("DAT307", "Is a class much more frequent in one group than in another?", "Judge groups with DAT201 too.")
CHECKS = (COPIES, CONTRADICTIONS, IDS, ORDER, GAPS, CUES, GROUPS)

ADVICE = {
    COPIES: {
        "pass": "No action needed on this evidence.",
        "fail": COPIES.remedy,
        "undecided": "Give more held-out rows; the interval contains the threshold.",
    },
    IDS: {
        "pass": "No action needed on this evidence; a column of ids is of no use to a model.",
        "fail": IDS.remedy,
        "undecided": "Give more training rows; the interval contains the threshold.",
    },
    GAPS: {
        "pass": "No action needed on this evidence.",
        "fail": GAPS.remedy,
        "undecided": "Give more training rows; the interval contains the threshold.",
    },
}


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    """One call on both sides, with the sensitive columns that the training rows have."""
    assert inputs.train is not None
    options = {"groups": training_groups(inputs), **inputs.options_of(method)}
    return [Call((inputs.ask(), inputs.labels, *inputs.train), options)]


def _audit_cost(inputs: AuditInputs) -> Cost:
    """No model evaluations where the classes have names."""
    is_known = bool(inputs.model.classes) or inputs.model.gives == "values"
    return Cost(0 if is_known else len(inputs.case)) * inputs.model.passes_per_row


@diagnostic(
    source="assay2026",
    needs={"labels", "train"},
    optional={"groups"},
    checks=CHECKS,
    calls=_calls,
    audit_cost=_audit_cost,
)
def exploration(
    case: Case,
    labels: Any,
    train: Any,
    train_labels: Any,
    *,
    groups: Mapping[str, Sequence[str]] = {},
    copies: float = MAX_COPIES,
    order: float = MAX_ORDER,
    gap: float = MAX_GAP,
    level: float = 0.95,
) -> list[Finding]:
    """Faults of the data, found without a model: near-copies, contradicting labels, ids, order, gaps, cues, groups.

    The case holds held-out rows with true ``labels``, ``train`` the training rows; ``groups`` one name for each
    training row and sensitive attribute. No model is evaluated. A regression's labels are cut into quarters.

    DAT301: share of held-out rows with a near-copy among the training rows; at most ``copies``. Of scaled numbers and
    indicators, or pictures averaged to at most 16 × 16: where (r₁ / r₆)^D is smaller than chance allows anywhere, for
    the distances r of the nearest and the sixth training row and the intrinsic dimension D of the data; the expected
    number of false ones is below 1. Of texts: where 80 % of the sequences of three words are shared, found by MinHash.
    At most 4,000 held-out rows (20,000 texts) are searched; only of more has the share an interval. Not applicable
    where every column repeats its values.
    DAT302: share of training rows with an equal or near earlier row whose label differs; no verdict.

    DAT303: for columns of whole numbers or levels that all differ, the mean of (equal − e) / (1 − e) over rows that
    follow each other by the column, where e is the probability that two labels are equal; at most ``order``. DAT304:
    the same for the order of the rows; no verdict. ``null_interval`` of both: 199 permutations of the labels.
    DAT305: the difference of a class's share where a column's value is missing and elsewhere; at most ``gap``. Column
    and class are chosen in every second row and measured in the others.

    DAT306: the column whose rule predicts the label better in one group than in the others (balanced accuracy, chosen
    and fitted in every second row, Bonferroni-corrected for groups). DAT307: the largest difference between groups in
    the share of a class. Both without a verdict. Shift between both sets: DAT103, DAT105.
    """
    if not (0 < level < 1 and 0 <= copies < 1 and 0 <= order < 1 and 0 <= gap < 1):
        raise InputError(f"copies={copies}, order={order}, gap={gap}; thresholds in [0, 1) are needed.")
    rows = ExploredRows.of(case, labels, train, train_labels, groups)
    return [
        _copies(rows, copies, level),
        _contradictions(rows, level),
        _ids(rows, order, level),
        _order(rows, level),
        _gaps(rows, gap, level),
        _cues(rows, level),
        _groups(rows, level),
    ]


def _copies(rows: ExploredRows, threshold: float, level: float) -> Finding:
    why = rows.why_not_near()
    if why:
        return _not_applicable(COPIES, rows, why)
    pairs, searched = rows.copies_across()
    pairs.sort(key=lambda pair: -pair[2] if rows.sources else pair[2])
    ids, what = rows.case.rows.ids, "shared word sequences" if rows.sources else "distance, of that to the sixth"
    share = len(pairs) / max(searched, 1)
    about: dict[str, Any] = {
        "claim": f"{len(pairs)} of {searched} held-out rows searched ({share:.1%}) have a near-copy among the "
        f"{len(rows.labels)} training rows.",
        "subject": rows.case.model.name,
        "null": 0.0,
        "n": searched,
        "meaning": MEANING[COPIES.code],
        "affected": share,
        "rows": tuple(ids[row] for row, _, _ in pairs[:MAX_ROWS]),
        "evidence": {
            "pairs": [
                {
                    "held-out row": ids[row],
                    "training row": rows.ids[near],
                    what: nearness,
                    "same label": bool(rows.true[row] == rows.labels[near]),
                }
                for row, near, nearness in pairs[:20]
            ]
        },
    }
    if searched == rows.held_out:  # a count of these files has no sampling error
        return counted_finding(COPIES, share, threshold, ADVICE[COPIES], **about)
    basis = Basis("rate", {"hits": np.array(len(pairs)), "trials": np.array(searched)})
    return judged_finding(COPIES, basis, level, threshold, ADVICE[COPIES], estimate=share, **about)


def _contradictions(rows: ExploredRows, level: float) -> Finding:
    pairs = rows.copies_within()
    if not pairs:
        return _not_applicable(CONTRADICTIONS, rows, "no training row is a copy of another")
    other = [(row, near) for row, near, _ in pairs if rows.labels[row] != rows.labels[near]]
    shares = np.bincount(rows.labels) / len(rows.labels)
    return _informative(
        CONTRADICTIONS,
        rows,
        f"{len(other)} of {len(pairs)} training rows that are a copy of another have another label.",
        len(other) / len(pairs),
        clopper_pearson(len(other), len(pairs), level),
        len(pairs),
        null=float(1 - (shares**2).sum()),
        affected=len(pairs) / len(rows.labels),
        rows=tuple(dict.fromkeys(rows.ids[row] for pair in other for row in pair))[:MAX_ROWS],
        rows_of="train",
        evidence={
            "copies": len(pairs),
            "pairs": [
                {
                    "row": rows.ids[row],
                    "copy of": rows.ids[near],
                    "label": rows.classes[rows.labels[row]],
                    "label there": rows.classes[rows.labels[near]],
                }
                for row, near in other[:20]
                if max(rows.labels[row], rows.labels[near]) < len(rows.classes)
            ],
        },
    )


def _ids(rows: ExploredRows, threshold: float, level: float) -> Finding:
    split = rows.split
    found = (
        []
        if split is None
        else [
            (name, adjacent_agreement(rows.labels, np.argsort(column, kind="stable")))
            for name, column, coded in zip(split.names, split.train.T, split.is_coded)
            if len(column) > 2 and is_like_ids(column, bool(coded))
        ]
    )
    if not found:
        return _not_applicable(IDS, rows, "no column has another whole number, or another level, in every row")
    name, values = max(found, key=lambda one: float(one[1].mean()))
    null = agreement_without_effect(rows.labels, rows.seed, level)
    return judged_finding(
        IDS,
        Basis("student", {"values": values}),
        1 - (1 - level) / len(found),
        threshold,
        ADVICE[IDS],
        claim=f"Rows that follow each other by {name} agree in their label {values.mean():.2f} beyond chance (0 to 1).",
        subject=rows.case.model.name,
        estimate=float(values.mean()),
        null=0.0,
        null_interval=null,
        n=len(values),
        meaning=MEANING[IDS.code],
        evidence={"column": name, "columns": {other: float(one.mean()) for other, one in found}},
    )


def _order(rows: ExploredRows, level: float) -> Finding:
    if len(rows.labels) < 3 or len(np.unique(rows.labels)) < 2:
        return _not_applicable(ORDER, rows, "there are too few training rows, or one class")
    values = adjacent_agreement(rows.labels, np.arange(len(rows.labels)))
    null = agreement_without_effect(rows.labels, rows.seed, level)
    mean = float(values.mean())
    side = "as in random order" if null.low <= mean <= null.high else "unlike in random order"
    return _informative(
        ORDER,
        rows,
        f"Training rows that follow each other agree in their label {mean:.2f} beyond chance (0 to 1), {side}.",
        mean,
        student_interval(values, level),
        len(values),
        null=0.0,
        null_interval=null,
    )


def _gaps(rows: ExploredRows, threshold: float, level: float) -> Finding:
    split = rows.split
    if split is None or not rows.missing.any():
        return _not_applicable(GAPS, rows, "no value of the training rows is missing")
    best = largest_missing_gap(rows.labels, rows.missing, split.names)
    if best is None:
        return _not_applicable(GAPS, rows, "every column lacks too few values, or nearly all")
    name = rows.classes[best.label] if best.label < len(rows.classes) else str(best.label)
    missing = rows.missing[:, split.names.index(best.name)]
    shown = np.flatnonzero(missing & (rows.labels == best.label))[:MAX_ROWS]
    inside, outside = (hit / max(trials, 1) for hit, trials in zip(best.hits, best.trials))
    return judged_finding(
        GAPS,
        Basis("rates", {"hits": np.array(best.hits), "trials": np.array(best.trials)}),
        level,
        threshold,
        ADVICE[GAPS],
        claim=f"Where {best.name} is missing, {inside:.1%} of the rows are {name}; elsewhere {outside:.1%}.",
        subject=rows.case.model.name,
        estimate=best.difference,
        null=0.0,
        n=sum(best.trials),
        meaning=MEANING[GAPS.code],
        affected=float(missing.mean()),
        rows=tuple(rows.ids[i] for i in shown),
        rows_of="train",
        evidence={"column": best.name, "class": name, "missing": int(missing.sum())},
    )


def _cues(rows: ExploredRows, level: float) -> Finding:
    split = rows.split
    if split is None or not rows.groups:
        return _not_applicable(CUES, rows, "no column of the training rows is a sensitive one")
    found = group_cues(split.train, split.is_coded, split.names, rows.labels, rows.groups, level)
    if not found:
        return _not_applicable(CUES, rows, "no group has enough training rows")
    top = found[0]
    return _informative(
        CUES,
        rows,
        f"{top.column} predicts the label with balanced accuracy {top.inside:.2f} where {top.attribute} is "
        f"{top.group}, and {top.outside:.2f} elsewhere.",
        top.inside - top.outside,
        top.limits,
        len(rows.labels),
        null=0.0,
        evidence={
            "cues": [
                {
                    "column": cue.column,
                    "group": f"{cue.attribute}: {cue.group}",
                    "inside": cue.inside,
                    "elsewhere": cue.outside,
                    "low": cue.limits.low,
                    "high": cue.limits.high,
                }
                for cue in found[:20]
            ]
        },
    )


def _groups(rows: ExploredRows, level: float) -> Finding:
    found: list[tuple[float, str, int, Interval]] = []
    tables: dict[str, dict[str, list[int]]] = {}
    classes = int(rows.labels.max()) + 1
    tests = [name for name, column in rows.groups.items() if len(set(column)) > 1]
    for name in tests:
        column = np.asarray(rows.groups[name], dtype=str)
        names = sorted(set(column.tolist()))
        counts = np.array([np.bincount(rows.labels[column == one], minlength=classes) for one in names])
        trials = counts.sum(axis=1)
        tables[name] = {one: counts[i].tolist() for i, one in enumerate(names)}
        shares = counts / np.maximum(trials, 1)[:, None]
        widest = int(np.argmax(np.ptp(shares, axis=0)))
        each = 1 - (1 - level) / (classes * len(tests))
        gap = float(np.ptp(shares[:, widest]))
        found.append((gap, name, widest, largest_rate_gap_interval(counts[:, widest], trials, each)))
    if not found:
        return _not_applicable(GROUPS, rows, "no column of the training rows is a sensitive one with several groups")
    gap, name, widest, limits = max(found, key=lambda one: one[0])
    label = rows.classes[widest] if widest < len(rows.classes) else str(widest)
    return _informative(
        GROUPS,
        rows,
        f"The share of {label} among training rows differs by {gap:.1%} between two groups of {name}.",
        gap,
        limits,
        len(rows.labels),
        null=0.0,
        evidence={"classes": list(rows.classes)[:classes], "rows by group and class": tables},
    )


def _informative(
    check: Check, explored: ExploredRows, claim: str, estimate: float, interval: Interval, n: int, **fields: Any
) -> Finding:
    return Finding(
        check.code,
        "informative",
        claim,
        explored.case.model.name,
        estimate=estimate,
        interval=interval,
        n=n,
        meaning=MEANING[check.code],
        advice=check.remedy,
        **fields,
    )


def _not_applicable(check: Check, rows: ExploredRows, why: str) -> Finding:
    name = rows.case.model.name
    return Finding(
        check.code, "not applicable", f"{name}: {why}.", name, n=len(rows.labels), meaning=MEANING[check.code]
    )
