# SPDX-License-Identifier: Apache-2.0
"""Columns a model leans on though they do not help it on rows it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Basis
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.fillings import chosen
from assay.cases.removals import Removal
from assay.engine.declare import diagnostic
from assay.engine.retraining.labelled_rows import truth
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import class_scores, pick, probabilities
from assay.nouns.results.result import Finding, judge

ROUNDING = 1e-12
"""A mean move of probability that is rounding only: averages of equal probabilities differ by as much."""
BENEFIT = (
    "By how much a row's Brier score on held-out rows rises when the column is taken away, for the column that helps "
    "least of those the model leans on: above 0 the column helps, below 0 the model does better without it. Misleading "
    "where the model is overconfident (any blur then lowers its loss) or where another column carries the same."
)
FLIPS = (
    "Share of rows whose decision changes when this column alone gets the value of another row, drawn at random: 0 for "
    "a column the decision ignores. Rows made this way may not exist, and a column may matter only together with "
    "others."
)
LEANING = {
    "pass": "Nothing to do on this evidence; name columns you distrust in suspects.",
    "fail": "Ask whether this column is known, and means the same, where the model will be used; repair.refit without "
    "it (through a Recipe) shows what that costs. Where several weak columns cost something, the model is overfitted: "
    "regularise it.",
    "undecided": "Give more held-out rows with true labels; the interval straddles the threshold.",
}
SUSPECTED = {
    "pass": "Nothing to do on this evidence.",
    "fail": "The decision hangs on a column it should not: repair.refit without it (through a Recipe), then measure "
    "again, since columns that go with it can take its place.",
    "undecided": "Give more rows; the interval straddles the threshold.",
}


@dataclass(frozen=True)
class _Leaning:
    """What taking away each column does to each row, (row, column): probability moved, loss added, still right."""

    moved: Floats
    benefit: Floats
    right: Masks
    right_before: Masks

    @property
    def reliance(self) -> Floats:
        """Mean move of the predicted class's probability, (column,); 0 where only rounding moved it."""
        mean = self.moved.mean(axis=0)
        return np.asarray(np.where(mean > ROUNDING, mean, 0.0))

    @property
    def share(self) -> Floats:
        """Each column's part of all reliance, (column,); 0 where there is none."""
        total = self.reliance.sum()
        return np.asarray(self.reliance / total if total > 0 else np.zeros_like(self.reliance))


@diagnostic(source="geirhos2020", needs={"classes", "table"})
def shortcut(
    case: Case,
    labels: Any,
    *,
    remove: Removal,
    suspects: Sequence[str] = (),
    level: float = 0.95,
    harm: float = 0.03,
    flips: float = 0.05,
    share: float = 0.05,
) -> list[Finding]:
    """Whether the model leans on a column that does not help it on held-out rows, and whether suspects sway it.

    The case holds rows the model was not trained on, with their true ``labels`` (class names, else positions).
    ``remove`` takes a column away; Marginal of training rows is meant, under which probabilities are averaged
    over the fillings before the logarithm is taken.

    SHC201: reliance is the mean |Δ probability of the predicted class| as the column alone is removed; benefit is
    the mean rise of the Brier score Σ_c (p_c − [c is true])², 0 … 2. Among columns with at least ``share`` of all
    reliance, the least benefit must be at least −``harm``. The interval is Student's for every column considered,
    corrected for their number (Bonferroni), so the worst was not picked for luck; which columns are considered does
    not look at the labels. An overconfident model gains from any blur, so a little harm is everybody's: ``harm``.

    SHC202, one for each of ``suspects``: share of rows whose decision changes when the column gets one filling's
    value, drawn by row id; at most ``flips``; Clopper–Pearson.

    A column that goes with a better one may be no shortcut though its removal costs nothing: it must do harm to
    fail. An overfitted model that leans on noise does harm and fails, too; then all its weak columns cost
    something, as ``columns`` in the evidence shows. Permutation importance alone, the usual tool, cannot tell a
    useful column from a misleading one.
    """
    if not (0 < level < 1 and 0 < share <= 1 and harm >= 0 and 0 <= flips < 1):
        raise InputError(
            f"level={level}, share={share}, harm={harm}, flips={flips}; needed are level in (0, 1), share in (0, 1], "
            f"harm ≥ 0 and flips in [0, 1)."
        )
    parts = _suspected(case, suspects)
    leaning = _measured(case, labels, remove)
    return [
        _least_helpful(case, leaning, level, harm, share),
        *(_swayed(case, leaning, remove, part, level, flips) for part in parts),
    ]


def _suspected(case: Case, suspects: Sequence[str]) -> list[int]:
    if isinstance(suspects, str):
        raise InputError(f"suspects={suspects!r} is one text; give a list of column names.")
    names = case.features.names
    strange = [name for name in suspects if name not in names]
    if strange:
        raise InputError(f"no column {', '.join(map(repr, strange[:5]))} to suspect; there are {list(names[:8])}.")
    return [names.index(name) for name in dict.fromkeys(suspects)]


def _measured(case: Case, labels: Any, remove: Removal) -> _Leaning:
    model, which = case.model, np.arange(len(case))
    true = truth(model, labels, len(case), case.prediction).astype(np.int64)
    predicted = class_scores(case.prediction, model.gives).argmax(axis=1)
    chances = probabilities(case.prediction, model.gives)
    sure, before = pick(chances, predicted), brier(chances, true)
    game = case.game(remove)
    moved, benefit, right = [], [], []
    for part in range(len(case.features)):
        without = game.outputs(which, _all_but(case, part))
        moved.append(np.abs(sure - pick(without, predicted)))
        benefit.append(brier(without, true) - before)
        right.append(without.argmax(axis=1) == true)
    columns = (np.stack(moved, axis=1), np.stack(benefit, axis=1), np.stack(right, axis=1))
    return _Leaning(*columns, right_before=predicted == true)


def brier(chances: Floats, true: Ints) -> Floats:
    """The Brier score (row,): squared distance of the probabilities (row, class) from the true class, 0 … 2."""
    return np.asarray(((chances - np.eye(chances.shape[1])[true]) ** 2).sum(axis=1))


def _all_but(case: Case, part: int) -> Masks:
    keep = np.ones((len(case), len(case.features)), dtype=bool)
    keep[:, part] = False
    return keep


def _least_helpful(case: Case, leaning: _Leaning, level: float, harm: float, share: float) -> Finding:
    considered = np.flatnonzero(leaning.share >= share)
    if leaning.reliance.sum() == 0 or not len(considered):
        return _nothing_to_judge(case, leaning, share)
    values = leaning.benefit[:, considered]
    evidence = {
        "columns": _table(case, leaning, considered),
        "columns considered": len(considered),
    }
    basis = Basis("least", {"values": values})
    interval = basis.at(level)
    worst = int(values.mean(axis=0).argmin())
    least, name = float(values[:, worst].mean()), case.features.names[considered[worst]]
    leans = f"{leaning.share[considered[worst]]:.0%} of its reliance"
    verdict = judge(interval, -harm, "at least")
    return Finding(
        code="SHC201",
        verdict=verdict,
        claim=(
            f"The model leans on `{name}` ({leans}), which costs it {-least:.3f} of Brier score on held-out rows."
            if least < 0
            else f"Of the {len(considered)} column(s) the model leans on, `{name}` ({leans}) helps least on held-out "
            f"rows: by {least:.3f} of Brier score."
        ),
        subject=case.model.name,
        estimate=least,
        interval=interval,
        threshold=-harm,
        direction="at least",
        null=0.0,
        n=len(case),
        meaning=BENEFIT,
        advice=LEANING[verdict],
        evidence={"column": name, **evidence},
        basis=basis,
    )


def _nothing_to_judge(case: Case, leaning: _Leaning, share: float) -> Finding:
    none = leaning.reliance.sum() == 0
    return Finding(
        code="SHC201",
        verdict="not applicable",
        claim=(
            "No column taken away alone changes a probability."
            if none
            else f"No column has {share:.0%} of the model's reliance; the largest has {leaning.share.max():.1%}."
        ),
        subject=case.model.name,
        n=len(case),
        meaning=BENEFIT,
        advice="Look whether the model is constant." if none else "Lower share, or cut the columns into groups.",
        evidence={"columns": _table(case, leaning, np.empty(0, dtype=np.int64)), "columns considered": 0},
    )


def _table(case: Case, leaning: _Leaning, considered: Ints) -> list[dict[str, Any]]:
    """The 20 columns leant on most."""
    gain = leaning.right_before.mean() - leaning.right.mean(axis=0)
    return [
        {
            "name": case.features.names[i],
            "reliance": float(leaning.reliance[i]),
            "reliance stderr": _stderr(leaning.moved[:, i]),
            "share": float(leaning.share[i]),
            "benefit": _mean(leaning.benefit[:, i]),
            "benefit stderr": _stderr(leaning.benefit[:, i]),
            "accuracy gained": float(gain[i]),
            "considered": bool(i in considered),
        }
        for i in np.argsort(-leaning.reliance, kind="stable")[:20]
    ]


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _stderr(values: Floats) -> float | None:
    known = len(values) > 1 and np.isfinite(values).all()
    return float(values.std(ddof=1) / np.sqrt(len(values))) if known else None


def _swayed(case: Case, leaning: _Leaning, remove: Removal, part: int, level: float, flips: float) -> Finding:
    name = case.features.names[part]
    changed = int(_changed(case, remove, part).sum())
    basis = Basis("rate", {"hits": np.array(changed), "trials": np.array(len(case))})
    interval = basis.at(level)
    verdict = judge(interval, flips, "at most")
    return Finding(
        code="SHC202",
        verdict=verdict,
        claim=(f"The decision changes in {changed / len(case):.1%} of rows when `{name}` gets another row's value."),
        subject=name,
        estimate=changed / len(case),
        interval=interval,
        threshold=flips,
        direction="at most",
        null=0.0,
        n=len(case),
        meaning=FLIPS,
        advice=SUSPECTED[verdict],
        evidence={
            "column": name,
            "rank by reliance": 1 + int((leaning.reliance > leaning.reliance[part]).sum()),
            "columns in all": len(case.features),
            "mean effect": float(leaning.reliance[part]),
            "share of reliance": float(leaning.share[part]),
            "benefit": _mean(leaning.benefit[:, part]),
        },
        basis=basis,
    )


def _changed(case: Case, remove: Removal, part: int) -> Masks:
    """Rows (row,) whose decision changes when the part alone comes from one filling, drawn by the row's id."""
    which, name = np.arange(len(case)), case.features.names[part]
    seeds = (case.seed.child("shortcut", name, one) for one in case.rows.ids)
    draw = np.array([seed.generator().integers(remove.fills) for seed in seeds])
    keep = case.features.spread(_all_but(case, part), which)
    filled = case.rows.x
    for place, version in enumerate(case.game(remove).filling.fill(which, keep)):
        filled = chosen((draw != place)[:, None], filled, version)
    before = class_scores(to_floats(case.prediction), case.model.gives).argmax(axis=1)
    return np.asarray(case.predicted(filled) != before)
