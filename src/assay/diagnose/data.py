# SPDX-License-Identifier: Apache-2.0
"""Data quality of a train/test split: duplicates across it, label leakage through one column, distribution shift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.stats import Basis, auc, clopper_pearson
from assay.basics.types import Ints, Masks
from assay.cases.case import Case
from assay.cases.read_inputs import texts
from assay.engine.check_findings import counted_finding, judged_finding
from assay.engine.declare import diagnostic
from assay.engine.retraining.labelled_rows import read_like, rows_also_in, true_labels
from assay.engine.retraining.split_statistics import (
    SplitData,
    classify_side,
    count_distinct,
    duplicated_rows,
    is_few_valued,
    predict_from_column,
    sample_side,
    split_data,
)
from assay.nouns.catalogue import Check
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.finding import MAX_ROWS, Finding

MAX_COPIES, MAX_ALONE, MAX_SHIFT = 0.02, 0.95, 0.65
"""Default thresholds: share of duplicates, single-feature balanced accuracy, AUC of the two-sample classifier."""

DUPLICATES = Check(
    "DAT101",
    "Do test rows also occur in the training data?",
    "Split again so that no row is on both sides.",
    MAX_COPIES,
    "at most",
    severe=0.1,
)
SINGLE_FEATURE = Check(
    "DAT102",
    "Does a single column predict the label?",
    "Check whether the column is known when the decision is made; remove it if not.",
    MAX_ALONE,
    "at most",
    severe=0.99,
)
SHIFT = Check(
    "DAT103",
    "Can a classifier separate test rows from training rows?",
    "The two sets come from different distributions: state which population the model is for.",
    MAX_SHIFT,
    "at most",
    severe=0.9,
)
BALANCE = Check("DAT104", "Is a class rare, or a column constant or ID-like?", "Informative; it has no threshold.")
CHECKS = (DUPLICATES, SINGLE_FEATURE, SHIFT, BALANCE)

MEANING = {
    DUPLICATES: "Share of held-out rows that also occur, cell by cell, among the training rows: 0 for a clean split. "
    "On such rows a test measures memorisation. In tables with few distinct values, rows repeat by chance.",
    SINGLE_FEATURE: "Balanced accuracy on held-out rows of a rule fitted on one column of the training rows: the mean "
    "over classes of the share classified correctly; 1/classes for a guess, 1 for a column that determines the label. "
    "An easy problem has a high value without any leakage.",
    SHIFT: "AUC of a random forest that separates held-out rows from training rows, on rows it was not fitted on: 0.5 "
    "where both come from one distribution, 1 where they do not overlap. A column of row numbers or dates also "
    "gives a high AUC.",
    BALANCE: "Class balance, and constant or ID-like columns, of the training rows. No verdict; it helps to interpret "
    "the other checks.",
}
ADVICE = {
    DUPLICATES: {
        "pass": "No action needed on this evidence; near-duplicates (a changed id, a rounded number) are not detected.",
        "fail": "Remove the rows listed in the evidence from the test set, find where they come from, and measure "
        "again.",
        "undecided": "Give more held-out rows; the interval contains the threshold.",
    },
    SINGLE_FEATURE: {
        "pass": "No action needed on this evidence; several columns together may still leak the label.",
        "fail": "Check whether this column is known before the label. If it is, the problem is easy; if not, train "
        "without it.",
        "undecided": "Give more held-out rows of the rarest class; the interval contains the threshold.",
    },
    SHIFT: {
        "pass": "No action needed on this evidence.",
        "fail": "Split at random, or state that the shift is intended. Until then, membership (PRV101, PRV102) cannot "
        "be judged, and findings about shortcuts also reflect this shift.",
        "undecided": "Give more rows on both sides; the interval contains the threshold.",
    },
}


@diagnostic(source="kaufman2012", needs={"records", "labels", "train"}, checks=CHECKS)
def data(
    case: Case,
    labels: Any,
    train: Any,
    train_labels: Any,
    *,
    level: float = 0.95,
    copies: float = MAX_COPIES,
    alone: float = MAX_ALONE,
    shift: float = MAX_SHIFT,
) -> list[Finding]:
    """Faults of the train/test split: duplicate rows, label leakage through one column, distribution shift.

    The case holds held-out rows with true ``labels``, ``train`` the training rows in the form of the case's x.

    DAT101: share of held-out rows that also occur among the training rows; at most ``copies``. It is a fact about these
    files: the share itself decides, and has no interval. Where every column repeats most of its values, independent
    rows coincide by chance: at the rate at which training rows occur among the other training rows (Good's estimate).
    The threshold is then the largest of ``copies``, 1.5 times that rate and its upper limit, and the share has a
    Clopper–Pearson interval, so that such a few-valued table fails only if the split copied rows. Copies made before a
    random split then appear in the evidence only (``copies within training rows``).

    DAT102: balanced accuracy on held-out rows of the best rule from one column; at most ``alone``. The rule is a
    tree with 8 leaves (or twice the classes) for numbers, the most frequent class of each level (classes
    weighted equally) for others; an unseen level counts as wrong. The interval holds for all columns at once.

    DAT103: classifier two-sample test. AUC of a random forest, fitted on one half and evaluated on the other, both
    ways; at most ``shift``; at most 1,000 rows a side, drawn by the seed. The two halves' errors are correlated, so
    the interval counts the rows of one half only. DAT104 reports counts and judges nothing.

    A regression has no DAT102. Of texts only DAT101 is answered. Exact duplicates only. Most tools also drop duplicates
    within the training rows, which may be legitimate.
    """
    if not (0 < level < 1 and 0 <= copies < 1 and 0 < alone <= 1 and 0.5 <= shift <= 1):
        raise InputError(
            f"level={level}, copies={copies}, alone={alone}, shift={shift}; needed are level in (0, 1), copies in "
            f"[0, 1), alone in (0, 1] and shift in [0.5, 1]."
        )
    model = case.model
    if model.gives == "units":
        raise CapabilityError(f"data needs a classifier or a regression; {model.name} gives a layer's activations.")
    if case.rows.text is not None:
        return _of_texts(case, texts(train), level, copies)
    other = to_floats(read_like(case, train))
    own, fitted = (
        true_labels(model, labels, len(case), case.prediction),
        true_labels(model, train_labels, len(other), case.prediction),
    )
    split = split_data(case, other)
    has_classes = model.gives != "values"
    return [
        _duplicates(split, level, copies),
        _single_feature(split, own, fitted, level, alone) if has_classes else _no_classes(split),
        _shift(split, level, shift),
        _balance(split, _class_shares(own, fitted, model.classes) if has_classes else [], level),
    ]


def _duplicates(split: SplitData, level: float, copies: float) -> Finding:
    found = rows_also_in(split.held_out, split.train)
    within = int(duplicated_rows(split.train).sum())
    few = is_few_valued(split.train, copies)
    subject = split.subject
    return _judged_duplicates(found, within, len(split.train), few, split.ids, subject, level, copies)


def _judged_duplicates(
    found: Masks, within: int, train: int, few: bool, ids: Sequence[str], subject: str, level: float, copies: float
) -> Finding:
    """The finding from which rows occur among the ``train`` training rows, of which ``within`` occur more than once.

    A count of these files has no sampling error; only where rows coincide by chance, and more often than ``copies``,
    the rate has an interval.
    """
    hits, trials = int(found.sum()), len(found)
    rate, share = within / train, hits / trials
    by_chance = max(1.5 * rate, clopper_pearson(within, train, level).high) if few else 0.0
    duplicate_rate = f"; {rate:.1%} of the training rows occur more than once" if few else ""
    limit = min(max(copies, by_chance), 1.0)
    about: dict[str, Any] = {
        "claim": f"{hits} of {trials} held-out rows ({share:.1%}) also occur among the {train} training rows"
        f"{duplicate_rate}.",
        "subject": subject,
        "null": rate if few else 0.0,
        "n": trials,
        "meaning": MEANING[DUPLICATES],
        "threshold_origin": "rate of chance copies" if limit > copies else "",
        "rows": tuple(ids[i] for i in np.flatnonzero(found)[:MAX_ROWS]),
        "evidence": {
            "copies": hits,
            "copies within training rows": rate,
            "few-valued": few,
            "requested threshold": copies,
        },
    }
    if few and share > copies:  # a share up to what was asked for is a fact, and passes
        basis = Basis("rate", {"hits": np.array(hits), "trials": np.array(trials)})
        return judged_finding(DUPLICATES, basis, level, limit, ADVICE[DUPLICATES], estimate=share, **about)
    return counted_finding(DUPLICATES, share, limit, ADVICE[DUPLICATES], **about)


def _of_texts(case: Case, train: Sequence[Any], level: float, copies: float) -> list[Finding]:
    """Duplicate texts; the other checks need columns."""
    assert case.rows.text is not None
    counts = Counter(train)
    found = np.array([text in counts for text in case.rows.text.source], dtype=bool)
    within = sum(count for count in counts.values() if count > 1)
    name = case.model.name
    return [
        _judged_duplicates(found, within, len(train), False, case.rows.ids, name, level, copies),
        *(_needs_columns(check, case) for check in CHECKS[1:]),
    ]


def _needs_columns(check: Check, case: Case) -> Finding:
    return Finding(
        code=check.code,
        verdict="not applicable",
        claim="The rows are texts; this check reads columns.",
        subject=case.model.name,
        n=len(case),
        meaning=MEANING[check],
        advice="Give a table of properties of the texts, such as their length and source.",
    )


def _single_feature(split: SplitData, own: Ints, fitted: Ints, level: float, alone: float) -> Finding:
    classes = np.unique(own)
    if len(classes) < 2:
        return _undefined(split, "all held-out rows are of one class")
    correct = np.stack([predict_from_column(split, column, fitted, own) == own for column in range(len(split.names))])
    trials = np.array([(own == one).sum() for one in classes])
    hits = np.stack([correct[:, own == one].sum(axis=1) for one in classes], axis=1)
    balanced = (hits / trials).mean(axis=1)
    best = int(balanced.argmax())
    return judged_finding(
        SINGLE_FEATURE,
        Basis("balanced", {"hits": hits, "trials": trials}),
        level,
        alone,
        ADVICE[SINGLE_FEATURE],
        claim=(
            f"Single-feature balanced accuracy {balanced[best]:.3f} of `{split.names[best]}`, the highest of "
            f"{len(balanced)} column(s)."
        ),
        subject=split.subject,
        estimate=float(balanced[best]),
        null=1 / len(classes),
        n=len(own),
        meaning=MEANING[SINGLE_FEATURE],
        evidence={
            "column": split.names[best],
            "columns": [
                {"name": split.names[i], "balanced accuracy": float(balanced[i])}
                for i in np.argsort(-balanced, kind="stable")[:20]
            ],
            "number of columns": len(balanced),
            "rows of the rarest class": int(trials.min()),
        },
    )


def _no_classes(split: SplitData) -> Finding:
    return _undefined(split, "the model is a regression; balanced accuracy needs classes")


def _undefined(split: SplitData, why: str) -> Finding:
    return Finding(
        code=SINGLE_FEATURE.code,
        verdict="not applicable",
        claim=f"Single-feature balanced accuracy is undefined: {why}.",
        subject=split.subject,
        n=len(split.held_out),
        meaning=MEANING[SINGLE_FEATURE],
        advice="Give held-out rows of at least two classes.",
    )


def _shift(split: SplitData, level: float, shift: float) -> Finding:
    held_out, train = sample_side(split, "held out"), sample_side(split, "train")
    if min(len(held_out), len(train)) < 10:
        return _too_few_rows(split, len(held_out), len(train))
    scores, importances = classify_side(held_out, train, split.seed)
    area = auc(scores[len(held_out) :], scores[: len(held_out)])
    order = np.argsort(-importances, kind="stable")
    return judged_finding(
        SHIFT,
        Basis("area", {"area": area, "count": len(held_out) // 2, "other": len(train) // 2}),
        level,
        shift,
        ADVICE[SHIFT],
        claim=(f"Train/test classifier AUC {area:.3f} (chance 0.5); most important column `{split.names[order[0]]}`."),
        subject=split.subject,
        estimate=area,
        null=0.5,
        n=len(held_out) + len(train),
        meaning=MEANING[SHIFT],
        evidence={
            "held-out rows used": len(held_out),
            "training rows used": len(train),
            "held-out rows": len(split.held_out),
            "training rows": len(split.train),
            "columns": [{"name": split.names[i], "importance": float(importances[i])} for i in order[:20]],
        },
    )


def _too_few_rows(split: SplitData, held_out: int, train: int) -> Finding:
    return Finding(
        code=SHIFT.code,
        verdict="not run",
        claim=f"{held_out} held-out and {train} training rows are too few for a train/test classifier.",
        subject=split.subject,
        n=held_out + train,
        meaning=MEANING[SHIFT],
        advice="Give at least 10 rows on both sides.",
    )


def _balance(split: SplitData, shares: list[dict[str, Any]], level: float) -> Finding:
    distinct = count_distinct(split.train)
    whole = split.is_coded | (split.train == np.trunc(split.train)).all(axis=0)
    constant = [split.names[i] for i in np.flatnonzero(distinct == 1)]
    unique = [split.names[i] for i in np.flatnonzero((distinct == len(split.train)) & whole & (distinct > 1))]
    rarest = min(shares, key=lambda line: line["train"]) if shares else None
    counts = f"{len(constant)} constant and {len(unique)} ID-like columns of {len(split.names)}"
    columns = counts if constant or unique else "no constant or ID-like columns"
    claim = f"{columns[0].upper()}{columns[1:]}."
    if rarest:
        claim = f"Rarest class {rarest['name']}: {rarest['train']:.1%} of the training rows; {columns}."
    return Finding(
        code=BALANCE.code,
        verdict="informative",
        claim=claim,
        subject=split.subject,
        estimate=rarest["train"] if rarest else float("nan"),
        interval=clopper_pearson(rarest["count"], len(split.train), level) if rarest else None,
        n=len(split.train),
        meaning=MEANING[BALANCE],
        advice="Drop constant and ID-like columns; with a rare class, use balanced metrics and collect more of its "
        "rows.",
        evidence={
            "classes": sorted(shares, key=lambda line: line["train"])[:20],
            "constant columns": constant[:20],
            "ID-like columns": unique[:20],
        },
    )


def _class_shares(own: Ints, fitted: Ints, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Share of each class that occurs, on both sides."""
    return [
        {
            "name": classes[one] if one < len(classes) else str(one),
            "train": float((fitted == one).mean()),
            "held out": float((own == one).mean()),
            "count": int((fitted == one).sum()),
        }
        for one in (np.union1d(own, fitted))
    ]
