# SPDX-License-Identifier: Apache-2.0
"""Shortcuts: columns that a model relies on although they do not help on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Basis
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.fillings import replace_absent
from assay.cases.removals import Removal
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.performance.metrics import brier
from assay.engine.retraining.labelled_rows import true_labels
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class, probabilities, select_label
from assay.nouns.results.finding import MAX_ROWS, Finding

ROUNDING = 1e-12
"""A mean change of probability up to this is rounding: averages of equal probabilities differ by as much."""

MAX_HARM, MAX_FLIPS = 0.03, 0.05
"""Default thresholds: Brier score gained by removing a column, and share of decisions that a suspect changes."""

_REMEDY = "Refit without the column (repair.refit), and audit again."

HARM = Check(
    "SHC201",
    "Does the model rely on a column that worsens its predictions on held-out rows?",
    _REMEDY,
    -MAX_HARM,
    "at least",
    severe=-0.1,
)
FLIPS = Check(
    "SHC202", "How often does a suspect column alone change the decision?", _REMEDY, MAX_FLIPS, "at most", severe=0.2
)
CHECKS = (HARM, FLIPS)

MEANING = {
    HARM: "Increase of the Brier score on held-out rows when the column is removed, for the column with the least "
    "benefit among those the model relies on: above 0 the column helps, below 0 the model is better without it. "
    "Misleading where the model is overconfident (any averaging then lowers its loss) or where another column holds "
    "the same information.",
    FLIPS: "Share of rows whose decision changes when this column alone gets the value of another, random row: 0 for a "
    "column that the decision ignores. Rows made this way may not exist, and a column may matter only together with "
    "others.",
}
ADVICE = {
    HARM: {
        "pass": "No action needed on this evidence; name further columns to test in suspects.",
        "fail": "Check whether this column is known, and means the same, where the model will be used; repair.refit "
        "without it (it needs an assay.Recipe) measures the cost of removing it. Where removing several weak columns "
        "improves the score, the model is overfitted: regularise it.",
        "undecided": "Give more held-out rows with true labels; the interval contains the threshold.",
    },
    FLIPS: {
        "pass": "No action needed on this evidence.",
        "fail": "The decision depends on a column that should not matter: use repair.refit without it (it needs a "
        "Recipe), then measure again, since correlated columns can replace it.",
        "undecided": "Give more rows; the interval contains the threshold.",
    },
}


@dataclass(frozen=True)
class _Removals:
    """Effect of removing each column on each row, (row, column): change of probability, added loss, still correct."""

    change: Floats
    benefit: Floats
    is_correct: Masks
    was_correct: Masks

    @property
    def reliance(self) -> Floats:
        """Mean |Δ probability| of the predicted class, (column,); 0 where the change is rounding."""
        mean = self.change.mean(axis=0)
        return np.asarray(np.where(mean > ROUNDING, mean, 0.0))

    @property
    def share(self) -> Floats:
        """Each column's share of the total reliance, (column,); 0 where there is none."""
        total = self.reliance.sum()
        return np.asarray(self.reliance / total if total > 0 else np.zeros_like(self.reliance))


def _rows(inputs: AuditInputs) -> Ints:
    """Positions of the tested rows: all, or a sample of the size that the profile's option ``rows`` gives."""
    count, most = len(inputs.case), inputs.options.get("shortcut", {}).get("rows", 0)
    sample = inputs.seed.child("shortcut", "rows").generator().permutation(count)[: most or count]
    return np.sort(sample)


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    which = _rows(inputs)
    tested = inputs.case.take(which)
    if inputs.features is not None:
        tested = replace(tested, features=inputs.features)
    options = {name: value for name, value in inputs.options_of(method).items() if name != "rows"}
    labels = np.asarray(inputs.labels)[which].tolist()
    return [Call((tested, labels), options | {"suspects": tuple(inputs.suspects)})]


def _audit_cost(inputs: AuditInputs) -> Cost:
    features = len(inputs.features if inputs.features is not None else inputs.case.features)
    passes = 1 + features * inputs.removal.fills + len(set(inputs.suspects))
    return Cost(passes) * (len(_rows(inputs)) * inputs.model.passes_per_row)


@diagnostic(
    source="geirhos2020",
    needs={"classes", "table", "labels", "train"},
    optional={"suspects", "background"},
    checks=CHECKS,
    calls=_calls,
    audit_cost=_audit_cost,
)
def shortcut(
    case: Case,
    labels: Any,
    *,
    remove: Removal,
    suspects: Sequence[str] = (),
    level: float = 0.95,
    harm: float = MAX_HARM,
    flips: float = MAX_FLIPS,
    share: float = 0.05,
) -> list[Finding]:
    """Whether the model relies on a column that does not help on held-out rows, and whether suspects change decisions.

    The case holds rows the model was not trained on, with their true ``labels`` (class names, else positions).
    ``remove`` defines the removal of a column; Marginal of training rows is meant, under which probabilities are
    averaged over the fillings before the logarithm is taken.

    SHC201: reliance is the mean |Δ probability of the predicted class| as the column alone is removed; benefit is
    the mean increase of the Brier score Σ_c (p_c − [c is true])², 0 … 2. Among columns with at least ``share`` of all
    reliance, the least benefit must be at least −``harm``. The interval is Student's for every column considered,
    corrected for their number (Bonferroni), so the choice of the worst column is accounted for; which columns are
    considered does not depend on the labels. ``harm`` allows for overconfident models, which gain from any averaging.

    SHC202, one for each of ``suspects``: share of rows whose decision changes when the column gets one filling's
    value, drawn by row id; at most ``flips``; Clopper–Pearson.

    A column that is correlated with a better one may be no shortcut although its removal costs nothing: only a column
    that does harm fails. An overfitted model that relies on noise also fails; then removing any of its weak columns
    improves the score, as ``columns`` in the evidence shows. Permutation importance alone, the usual tool, does not
    separate a useful column from a misleading one.
    """
    if not (0 < level < 1 and 0 < share <= 1 and harm >= 0 and 0 <= flips < 1):
        raise InputError(
            f"level={level}, share={share}, harm={harm}, flips={flips}; needed are level in (0, 1), share in (0, 1], "
            f"harm ≥ 0 and flips in [0, 1)."
        )
    features = _suspect_features(case, suspects)
    removals = _remove_each(case, labels, remove)
    return [
        _harm(case, removals, level, harm, share),
        *(_flips(case, removals, remove, feature, level, flips) for feature in features),
    ]


def _suspect_features(case: Case, suspects: Sequence[str]) -> list[int]:
    if isinstance(suspects, str):
        raise InputError(f"suspects={suspects!r} is a single text; give a list of column names.")
    names = case.features.names
    unknown = [name for name in suspects if name not in names]
    if unknown:
        raise InputError(f"suspects: no column {', '.join(map(repr, unknown[:5]))}; there are {list(names[:8])}.")
    return [names.index(name) for name in dict.fromkeys(suspects)]


def _remove_each(case: Case, labels: Any, remove: Removal) -> _Removals:
    model, rows = case.model, np.arange(len(case))
    true = true_labels(model, labels, len(case), case.prediction).astype(np.int64)
    predicted = predicted_class(case.prediction, model.gives)
    chances = probabilities(case.prediction, model.gives)
    confidence, before = select_label(chances, predicted), brier(chances, true)
    game = case.game(remove)
    change, benefit, is_correct = [], [], []
    for feature in range(len(case.features)):
        without = game.outputs(rows, _all_but(case, feature))
        change.append(np.abs(confidence - select_label(without, predicted)))
        benefit.append(brier(without, true) - before)
        is_correct.append(predicted_class(without, model.kind.as_probabilities()) == true)
    columns = (np.stack(change, axis=1), np.stack(benefit, axis=1), np.stack(is_correct, axis=1))
    return _Removals(*columns, was_correct=predicted == true)


def _all_but(case: Case, feature: int) -> Masks:
    masks = np.ones((len(case), len(case.features)), dtype=bool)
    masks[:, feature] = False
    return masks


def _harm(case: Case, removals: _Removals, level: float, harm: float, share: float) -> Finding:
    considered = np.flatnonzero(removals.share >= share)
    if removals.reliance.sum() == 0 or not len(considered):
        return _nothing_to_judge(case, removals, share)
    values = removals.benefit[:, considered]
    worst = int(values.mean(axis=0).argmin())
    least, name = float(values[:, worst].mean()), case.features.names[considered[worst]]
    reliance = f"{removals.share[considered[worst]]:.0%} of the model's reliance"
    return judged_finding(
        HARM,
        Basis("least", {"values": values}),
        level,
        -harm,
        ADVICE[HARM],
        claim=(
            f"Removing `{name}` ({reliance}) improves the Brier score on held-out rows by {-least:.3f}."
            if least < 0
            else f"Of the {len(considered)} column(s) the model relies on, `{name}` ({reliance}) helps least: removing "
            f"it worsens the Brier score on held-out rows by {least:.3f}."
        ),
        subject=case.model.name,
        estimate=least,
        null=0.0,
        n=len(case),
        meaning=MEANING[HARM],
        evidence={
            "column": name,
            "columns": _table(case, removals, considered),
            "columns considered": len(considered),
        },
    )


def _nothing_to_judge(case: Case, removals: _Removals, share: float) -> Finding:
    is_constant = removals.reliance.sum() == 0
    return Finding(
        code=HARM.code,
        verdict="not applicable",
        claim=(
            "Removing any single column changes no probability."
            if is_constant
            else f"No column has {share:.0%} of the model's reliance; the largest has {removals.share.max():.1%}."
        ),
        subject=case.model.name,
        n=len(case),
        meaning=MEANING[HARM],
        advice="Check whether the model is constant." if is_constant else "Lower share, or group the columns.",
        evidence={"columns": _table(case, removals, np.empty(0, dtype=np.int64)), "columns considered": 0},
    )


def _table(case: Case, removals: _Removals, considered: Ints) -> list[dict[str, Any]]:
    """The 20 columns with the largest reliance."""
    accuracy_benefit = removals.was_correct.mean() - removals.is_correct.mean(axis=0)
    return [
        {
            "name": case.features.names[i],
            "reliance": float(removals.reliance[i]),
            "reliance stderr": _stderr(removals.change[:, i]),
            "share": float(removals.share[i]),
            "benefit": _mean(removals.benefit[:, i]),
            "benefit stderr": _stderr(removals.benefit[:, i]),
            "accuracy benefit": float(accuracy_benefit[i]),
            "considered": bool(i in considered),
        }
        for i in np.argsort(-removals.reliance, kind="stable")[:20]
    ]


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _stderr(values: Floats) -> float | None:
    is_defined = len(values) > 1 and np.isfinite(values).all()
    return float(values.std(ddof=1) / np.sqrt(len(values))) if is_defined else None


def _flips(case: Case, removals: _Removals, remove: Removal, feature: int, level: float, flips: float) -> Finding:
    name = case.features.names[feature]
    flipped = _is_changed(case, remove, feature)
    changed = int(flipped.sum())
    return judged_finding(
        FLIPS,
        Basis("rate", {"hits": np.array(changed), "trials": np.array(len(case))}),
        level,
        flips,
        ADVICE[FLIPS],
        claim=f"The decision changes in {changed / len(case):.1%} of rows when `{name}` gets another row's value.",
        subject=name,
        estimate=changed / len(case),
        null=0.0,
        n=len(case),
        meaning=MEANING[FLIPS],
        evidence={
            "column": name,
            "rank by reliance": 1 + int((removals.reliance > removals.reliance[feature]).sum()),
            "number of columns": len(case.features),
            "mean effect": float(removals.reliance[feature]),
            "share of reliance": float(removals.share[feature]),
            "benefit": _mean(removals.benefit[:, feature]),
        },
        rows=tuple(case.rows.ids[i] for i in np.flatnonzero(flipped)[:MAX_ROWS]),
    )


def _is_changed(case: Case, remove: Removal, feature: int) -> Masks:
    """Rows (row,) whose decision changes when the feature alone comes from one filling, drawn by the row's id."""
    rows, name = np.arange(len(case)), case.features.names[feature]
    seeds = (case.seed.child("shortcut", name, one) for one in case.rows.ids)
    draw = np.array([seed.generator().integers(remove.fills) for seed in seeds])
    masks = case.features.expand_masks(_all_but(case, feature), rows)
    filled = case.rows.x
    for place, version in enumerate(case.game(remove).filling.fill(rows, masks)):
        filled = replace_absent((draw != place)[:, None], filled, version)
    before = predicted_class(to_floats(case.prediction), case.model.gives)
    return np.asarray(case.predicted(filled) != before)
