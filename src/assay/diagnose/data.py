# SPDX-License-Identifier: Apache-2.0
"""Faults of the data a model was trained and tested on: copies, leaks of the label, shifts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.stats import Basis, auc, clopper_pearson
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.declare import diagnostic
from assay.engine.retraining.labelled_rows import shared, truth, written
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Finding, judge

MOST = 1000
"""Rows of each side that the shift is looked for in; more cost time and gain little."""
COPIES = (
    "Share of held-out rows that stand, cell by cell, among the training rows too: 0 for a clean split. What is "
    "measured on such rows is memory. Few-valued tables repeat rows by chance."
)
ALONE = (
    "Mean over the classes of the share of held-out rows that one column alone, by a rule fitted on training rows, "
    "puts into the right class: 1/classes for a guess, 1 for a column that tells the label. An easy problem scores "
    "high without any fault."
)
SHIFT = (
    "Area under the ROC curve of a forest that tells held-out rows from training rows, on rows it was not fitted on: "
    "0.5 where both come from one population, 1 where they never meet. A column that counts or dates the rows gives "
    "a high one, too."
)
COUNTS = "What the columns and labels look like before any model: no verdict, but much that explains one."
ADVICE = {
    "DAT101": {
        "pass": "Nothing to do on this evidence; near-copies (a changed id, a rounded number) are not looked for.",
        "fail": "Leave the rows named in the evidence out of the test, find where they come from, and measure again.",
        "undecided": "Give more held-out rows; the interval straddles the threshold.",
    },
    "DAT102": {
        "pass": "Nothing to do on this evidence; several columns together may still give the label away.",
        "fail": "Ask whether this column is known before the label. If it is, the problem is easy; if not, train "
        "without it.",
        "undecided": "Give more held-out rows of the rarest class; the interval straddles the threshold.",
    },
    "DAT103": {
        "pass": "Nothing to do on this evidence.",
        "fail": "Split at random, or say that the shift is meant. Until then membership and shortcut findings speak of "
        "this shift, too.",
        "undecided": "Give more rows on both sides; the interval straddles the threshold.",
    },
}


@dataclass(frozen=True)
class _Sides:
    """Held-out and training rows as matrices; ``coded`` (column,) holds levels, numbered in the order of their text."""

    held: Floats
    train: Floats
    coded: Masks
    names: tuple[str, ...]
    ids: tuple[str, ...]
    subject: str
    seed: Seed


@diagnostic(source="kaufman2012", needs={"table"})
def data(
    case: Case,
    labels: Any,
    train: Any,
    train_labels: Any,
    *,
    level: float = 0.95,
    copies: float = 0.02,
    alone: float = 0.95,
    shift: float = 0.65,
) -> list[Finding]:
    """Faults of the split that no model can mend: copies across it, a column that tells the label, a shift.

    The case holds held-out rows with true ``labels``, ``train`` the training rows in the form of the case's x.

    DAT101: share of held-out rows that occur among the training rows too; at most ``copies``; Clopper–Pearson.
    Where no column has a value of its own in nearly every row, honest rows coincide: as often as training rows
    occur among the others (Good's estimate). The threshold is then the largest of ``copies``, 1.5 times that rate
    and its upper limit, so that such a few-valued table fails only if the split copied rows; copies made before a
    random split are then told in the evidence only (``copies within training rows``).

    DAT102: balanced accuracy on held-out rows of the best rule from one column; at most ``alone``. The rule is a
    tree with 8 leaves (or twice the classes) for numbers, the most frequent class of each level (classes
    weighted alike) for others; a level never seen counts as wrong. The interval holds for all columns at once.

    DAT103: classifier two-sample test, AUC of a forest fitted on one half and asked on the other, both ways, at
    most ``shift``; at most 1,000 rows a side, drawn by the seed. The two ways err together, so the interval counts
    the rows of one half only. DAT104 tells counts and judges nothing.

    A regression has no DAT102. Exact copies only: most tools also drop duplicates within the training rows, which
    may be honest.
    """
    if not (0 < level < 1 and 0 <= copies < 1 and 0 < alone <= 1 and 0.5 <= shift <= 1):
        raise InputError(
            f"level={level}, copies={copies}, alone={alone}, shift={shift}; needed are level in (0, 1), copies in "
            f"[0, 1), alone in (0, 1] and shift in [0.5, 1]."
        )
    model = case.model
    if model.gives == "units":
        raise CapabilityError(f"data needs a classifier or a regression; {model.name} gives a layer's activations.")
    other = to_floats(written(case, train))
    own, fitted = (
        truth(model, labels, len(case), case.prediction),
        truth(model, train_labels, len(other), case.prediction),
    )
    sides = _sides(case, other)
    judged = model.gives != "values"
    return [
        _copies(sides, level, copies),
        _alone(sides, own, fitted, level, alone) if judged else _no_classes(sides),
        _shift(sides, level, shift),
        _counts(sides, _balance(own, fitted, model.classes) if judged else [], level),
    ]


def _sides(case: Case, train: Floats) -> _Sides:
    """Both sides with levels numbered in the order of their text, not of their first row: that order tells the side."""
    table, held, train = case.rows.table, to_floats(case.rows.x).copy(), train.copy()
    coded = np.zeros(held.shape[1], dtype=bool) if table is None else np.asarray(table.coded)
    for column in np.flatnonzero(coded):
        assert table is not None
        level = table.levels[column]
        assert level is not None
        rank = np.argsort(np.argsort([str(value) for value in level.values], kind="stable"), kind="stable")
        for side in (held, train):
            side[:, column] = rank[side[:, column].astype(np.int64)]
    names = table.names if table is not None else _column_names(case)
    return _Sides(held, train, coded, names, case.rows.ids, case.model.name, case.seed.child("data"))


def _column_names(case: Case) -> tuple[str, ...]:
    if case.features.elementwise:
        return tuple(case.features.names[part] for part in case.features.index)
    return case.model.columns or tuple(map(str, range(case.rows.shape[0])))


def _copies(sides: _Sides, level: float, copies: float) -> Finding:
    found = shared(sides.held, sides.train)
    hits, trials = int(found.sum()), len(found)
    within = int(_repeated(sides.train).sum())
    few = _few_valued(sides.train, copies)
    rate = within / len(sides.train)
    honest = max(1.5 * rate, clopper_pearson(within, len(sides.train), level).high) if few else 0.0
    threshold = min(max(copies, honest), 1.0)
    basis = Basis("rate", {"hits": np.array(hits), "trials": np.array(trials)})
    interval = basis.at(level)
    verdict = judge(interval, threshold, "at most")
    chance = f"; training rows occur among each other at {rate:.1%}" if few else ""
    return Finding(
        code="DAT101",
        verdict=verdict,
        claim=(
            f"{hits} of {trials} held-out rows ({hits / trials:.1%}) also "
            f"occur among the {len(sides.train)} training rows{chance}."
        ),
        subject=sides.subject,
        estimate=hits / trials,
        interval=interval,
        threshold=threshold,
        direction="at most",
        null=rate if few else 0.0,
        n=trials,
        meaning=COPIES,
        advice=ADVICE["DAT101"][verdict],
        evidence={
            "rows": [sides.ids[i] for i in np.flatnonzero(found)[:20]],
            "copies": hits,
            "copies within training rows": rate,
            "few-valued": few,
            "threshold asked": copies,
        },
        basis=basis,
    )


def _repeated(rows: Floats) -> Masks:
    """Which rows (row,) occur more than once."""
    _, place, count = np.unique(rows + 0.0, axis=0, return_inverse=True, return_counts=True)
    return np.asarray(count[place.ravel()] > 1)


def _few_valued(rows: Floats, copies: float) -> bool:
    """Whether honest rows may coincide: no column has a value of its own in all but ``copies`` of the distinct rows.

    Asked of distinct rows, so that copies do not make a table look few-valued. One column alone is always taken so.
    """
    distinct = np.unique(rows + 0.0, axis=0)
    return rows.shape[1] == 1 or not any(_repeated(column[:, None]).mean() <= copies for column in distinct.T)


def _distinct(rows: Floats) -> Ints:
    return np.array([len(np.unique(column)) for column in rows.T], dtype=np.int64)


def _alone(sides: _Sides, own: Ints, fitted: Ints, level: float, alone: float) -> Finding:
    classes = np.unique(own)
    if len(classes) < 2:
        return _undefined(sides, "all held-out rows are of one class; a rule has nothing to tell apart")
    right = np.stack([_rule(sides, column, fitted, own) == own for column in range(len(sides.names))])
    trials = np.array([(own == one).sum() for one in classes])
    hits = np.stack([right[:, own == one].sum(axis=1) for one in classes], axis=1)
    balanced = (hits / trials).mean(axis=1)
    basis = Basis("balanced", {"hits": hits, "trials": trials})
    interval = basis.at(level)
    verdict = judge(interval, alone, "at most")
    best = int(balanced.argmax())
    return Finding(
        code="DAT102",
        verdict=verdict,
        claim=(
            f"`{sides.names[best]}` alone tells the label with a balanced accuracy of {balanced[best]:.3f}, "
            f"the most of {len(balanced)} column(s)."
        ),
        subject=sides.subject,
        estimate=float(balanced[best]),
        interval=interval,
        threshold=alone,
        direction="at most",
        null=1 / len(classes),
        n=len(own),
        meaning=ALONE,
        advice=ADVICE["DAT102"][verdict],
        evidence={
            "column": sides.names[best],
            "columns": [
                {"name": sides.names[i], "balanced accuracy": float(balanced[i])}
                for i in np.argsort(-balanced, kind="stable")[:20]
            ],
            "columns in all": len(balanced),
            "rows of the rarest class": int(trials.min()),
        },
        basis=basis,
    )


def _rule(sides: _Sides, column: int, fitted: Ints, own: Ints) -> Ints:
    """The class (row,) of each held-out row by a rule from one column of the training rows; −1 where it has none."""
    weight = 1 / np.bincount(fitted, minlength=int(max(fitted.max(), own.max())) + 1).clip(1)
    train, held = sides.train[:, column], sides.held[:, column]
    if sides.coded[column]:
        tally = np.zeros((int(max(train.max(), held.max())) + 1, len(weight)))
        np.add.at(tally, (train.astype(np.int64), fitted), weight[fitted])
        told = np.where(tally.any(axis=1), tally.argmax(axis=1), -1)
        return np.asarray(told[held.astype(np.int64)])
    from sklearn.tree import DecisionTreeClassifier

    leaves = max(8, 2 * len(np.unique(fitted)))
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0)
    tree.fit(train[:, None], fitted, sample_weight=weight[fitted])
    return np.asarray(tree.predict(held[:, None]), dtype=np.int64)


def _no_classes(sides: _Sides) -> Finding:
    return _undefined(sides, "the model is a regression; balanced accuracy needs classes")


def _undefined(sides: _Sides, why: str) -> Finding:
    return Finding(
        code="DAT102",
        verdict="not applicable",
        claim=f"No column was tried alone: {why}.",
        subject=sides.subject,
        n=len(sides.held),
        meaning=ALONE,
        advice="Give held-out rows of at least two classes.",
    )


def _shift(sides: _Sides, level: float, shift: float) -> Finding:
    held, train = _drawn(sides, "held out"), _drawn(sides, "train")
    if min(len(held), len(train)) < 10:
        return _too_few(sides, len(held), len(train))
    scores, weights = _told_apart(held, train, sides.seed)
    area = auc(scores[len(held) :], scores[: len(held)])
    basis = Basis("area", {"area": area, "count": len(held) // 2, "other": len(train) // 2})
    interval = basis.at(level)
    verdict = judge(interval, shift, "at most")
    order = np.argsort(-weights, kind="stable")
    return Finding(
        code="DAT103",
        verdict=verdict,
        claim=(
            f"A forest tells held-out from training rows with an area of {area:.3f}, "
            f"0.5 being a guess; it looks at `{sides.names[order[0]]}` most."
        ),
        subject=sides.subject,
        estimate=area,
        interval=interval,
        threshold=shift,
        direction="at most",
        null=0.5,
        n=len(held) + len(train),
        meaning=SHIFT,
        advice=ADVICE["DAT103"][verdict],
        evidence={
            "held-out rows used": len(held),
            "training rows used": len(train),
            "held-out rows": len(sides.held),
            "training rows": len(sides.train),
            "columns": [{"name": sides.names[i], "importance": float(weights[i])} for i in order[:20]],
        },
        basis=basis,
    )


def _too_few(sides: _Sides, held: int, train: int) -> Finding:
    return Finding(
        code="DAT103",
        verdict="not run",
        claim=f"{held} held-out and {train} training rows are too few to look for a shift.",
        subject=sides.subject,
        n=held + train,
        meaning=SHIFT,
        advice="Give at least 10 rows on both sides.",
    )


def _drawn(sides: _Sides, side: str) -> Floats:
    """At most ``MOST`` rows of a side, without replacement, in an order that the seed gives."""
    rows = sides.held if side == "held out" else sides.train
    places = np.argsort(np.array(sides.ids), kind="stable") if side == "held out" else np.arange(len(rows))
    return np.asarray(rows[sides.seed.child("shift", side).generator().permutation(places)[:MOST]])


def _told_apart(held: Floats, train: Floats, seed: Seed) -> tuple[Floats, Floats]:
    """Scores (row,), held-out rows first, each by a forest fitted on the other half; mean weight of each column."""
    from sklearn.ensemble import RandomForestClassifier

    x = np.concatenate([held, train])
    side = np.arange(len(x)) < len(held)
    half = np.concatenate([np.arange(len(held)) % 2, np.arange(len(train)) % 2])  # both are in random order
    scores, weights = np.empty(len(x)), np.zeros(x.shape[1])
    for one in (0, 1):
        state = int(seed.child("forest", one).generator().integers(2**31))
        forest = RandomForestClassifier(50, min_samples_leaf=5, class_weight="balanced", random_state=state)
        forest.fit(x[half != one], side[half != one])
        scores[half == one] = forest.predict_proba(x[half == one])[:, 1]
        weights += forest.feature_importances_ / 2
    return scores, weights


def _counts(sides: _Sides, balance: list[dict[str, Any]], level: float) -> Finding:
    distinct = _distinct(sides.train)
    whole = sides.coded | (sides.train == np.trunc(sides.train)).all(axis=0)
    constant = [sides.names[i] for i in np.flatnonzero(distinct == 1)]
    unique = [sides.names[i] for i in np.flatnonzero((distinct == len(sides.train)) & whole & (distinct > 1))]
    rarest = min(balance, key=lambda line: line["train"]) if balance else None
    said = f"The rarest class, {rarest['name']}, has {rarest['train']:.1%} of the training rows; " if rarest else ""
    told = f"{len(constant)} column(s) are constant, {len(unique)} differ in every row"
    return Finding(
        code="DAT104",
        verdict="informative",
        claim=f"{said}{told}." if said else f"Of {len(sides.names)} column(s), {told}.",
        subject=sides.subject,
        estimate=rarest["train"] if rarest else float("nan"),
        interval=clopper_pearson(rarest["count"], len(sides.train), level) if rarest else None,
        n=len(sides.train),
        meaning=COUNTS,
        advice="Drop constant columns and ids; with a rare class, read balanced measures and give it more rows.",
        evidence={
            "classes": sorted(balance, key=lambda line: line["train"])[:20],
            "constant columns": constant[:20],
            "columns that differ in every row": unique[:20],
        },
    )


def _balance(own: Ints, fitted: Ints, classes: tuple[str, ...]) -> list[dict[str, Any]]:
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
