# SPDX-License-Identifier: Apache-2.0
"""Membership inference by a threshold on the loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.stats import Basis, Interval, auc, auc_interval, clopper_pearson, newcombe
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.retraining.labelled_rows import draw_texts, losses, outputs_at, true_labels
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.finding import Finding, claim_number

TRAINING_TEXTS = 2000
"""Training texts of which an audit measures the loss."""

MAX_ADVANTAGE = 0.1
"""Default threshold of the advantage."""

_REMEDY = "Regularise more strongly (repair.refit with strength), or train with differential privacy."

ADVANTAGE = Check(
    "PRV101",
    "How much better than chance does the loss separate training rows from other rows?",
    _REMEDY,
    MAX_ADVANTAGE,
    "at most",
    assumes=("DAT103",),
    severe=0.3,
)
LOW_RATE = Check(
    "PRV102",
    "How many training rows does the attack identify at a low false-positive rate?",
    _REMEDY,
    assumes=("DAT103",),
)
GENERALISATION = Check(
    "PRV103",
    "How much better is the model on its training rows than on other rows?",
    "Regularise, stop training earlier, or collect more rows.",
)
CHECKS = (ADVANTAGE, LOW_RATE, GENERALISATION)

MEANING = {
    ADVANTAGE: "True-positive minus false-positive rate of the attack that predicts membership when a row's loss is "
    "small: 0 for a guess, 1 for a perfect attack. The threshold was chosen on other rows than it was evaluated on. "
    "Misleading if the two sets are not a random split of one population. It is an average over rows, not the risk of "
    "the row most at risk.",
    LOW_RATE: "True-positive rate of the attack at this false-positive rate or below: the share of training rows that "
    "it identifies. It is at chance when it equals the false-positive rate. With m unseen rows, rates below 10/m "
    "cannot be measured.",
    GENERALISATION: "Generalisation gap: how much better the model is on its training rows than on unseen rows; 0 "
    "without overfitting, larger is worse. A model can leak membership without it: confidence may differ where "
    "accuracy does not.",
}
ADVICE = {
    "pass": "No action needed on this evidence; test single rows with a shadow-model attack if the data are sensitive.",
    "fail": "Retrain with more regularisation (repair.refit with the option strength; it needs an assay.Recipe), and "
    "measure again.",
    "undecided": "Give more rows on both sides; the interval contains the threshold.",
}


@dataclass(frozen=True)
class _Losses:
    """Losses of training rows and of unseen rows, and whether their class is predicted (regression: empty).

    Without labels the loss is that of the predicted class, and no class is known to be right.
    """

    inside: Floats
    outside: Floats
    correct_inside: Masks
    correct_outside: Masks
    copies: int
    subject: str
    has_labels: bool = True

    @property
    def statistic(self) -> str:
        """What the attack reads."""
        return "loss" if self.has_labels else "confidence"

    @property
    def remark(self) -> str:
        """A sentence about an attack without labels; empty with labels."""
        return "" if self.has_labels else " Without labels the loss is that of the predicted class: its confidence."

    def sizes(self) -> dict[str, Any]:
        """Number of rows on each side, and of outside rows that are copies of inside rows."""
        return {"inside": len(self.inside), "outside": len(self.outside), "copies": self.copies}

    @property
    def warning(self) -> str:
        """Text about copies across the split; empty where there are none."""
        return f" ({self.copies} of the unseen rows also occur among the training rows)" if self.copies else ""


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    """The case holds the training rows with the loss as target; the rows of the audit are the outside rows."""
    assert inputs.train is not None
    rows, labels = inputs.train
    if inputs.model.encode is not None:
        rows, labels = draw_texts(rows, labels, TRAINING_TEXTS, inputs.seed.child("membership", "texts"))
    inside = inputs.ask(rows, target="loss", label=labels)
    return [Call((inside, labels, inputs.x, inputs.labels), inputs.options_of(method))]


def _audit_cost(inputs: AuditInputs) -> Cost:
    assert inputs.train is not None
    count = len(inputs.train[1])
    count = count if inputs.model.encode is None else min(count, TRAINING_TEXTS)
    return Cost(count + len(inputs.case)) * inputs.model.passes_per_row


@diagnostic(source="yeom2018", needs={"labels", "train"}, checks=CHECKS, calls=_calls, audit_cost=_audit_cost)
def membership(
    case: Case,
    labels: Any,
    outside: Any,
    outside_labels: Any,
    *,
    level: float = 0.95,
    folds: int = 2,
    threshold: float = MAX_ADVANTAGE,
    rate: float = 0.01,
) -> list[Finding]:
    """Membership inference: how well the loss alone separates rows the model was trained on from unseen rows.

    The case holds training rows with their true ``labels``; ``outside`` holds rows of the same population that were
    not trained on, in the form of the case's x. The attack predicts "member" where the loss of the true label
    (cross-entropy in float64, squared error of a regression) is at most τ. Labels are looked up among the
    class names first, else are positions. With ``None`` for both vectors of labels the attack of a classifier reads the
    confidence instead, the probability of the predicted class: it finds less, and PRV103 is not run.

    PRV101: advantage TPR − FPR, −1 … 1, 0 without a leak. τ maximises it on all folds but one and is evaluated
    on the fold left out; hits are pooled over ``folds``; Newcombe's interval. At most ``threshold``.

    PRV102: TPR at a false-positive rate of ``rate``, or of 10/m where m outside rows support no smaller one;
    Clopper–Pearson limits for both rates. Under 20 outside rows it is not run.

    PRV103: accuracy inside − outside (a regression: squared error outside − inside, Welch's interval).

    The two sides must be a random split of one population: a shift between them increases the advantage. In an audit
    PRV101 and PRV102 are not applicable where a classifier separates the two sides (DAT103 fails). A small
    advantage does not show that no single row leaks; shadow-model attacks (LiRA) find more. Most tools choose
    τ on the rows they evaluate it on, which makes the advantage positive where there is no leak.
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold={threshold}; an advantage from 0 to 1 is needed.")
    measured = _measure_losses(case, labels, outside, outside_labels)
    smallest = min(len(measured.inside), len(measured.outside))
    if folds < 2 or smallest < folds:
        raise InputError(
            f"folds={folds} with {len(measured.inside)} rows inside and {len(measured.outside)} outside; at "
            f"least 2 folds are needed, and a row of each side in each fold."
        )
    assigned = (
        _assign_folds(case.rows.ids, case.seed, folds),
        _assign_folds(range(len(measured.outside)), case.seed.child("out"), folds),
    )
    return [
        _advantage(measured, assigned, folds, level, threshold),
        _at_low_rate(measured, level, rate),
        _gap(measured, level),
    ]


def _measure_losses(case: Case, labels: Any, outside: Any, outside_labels: Any) -> _Losses:
    model = case.model
    if model.gives == "units":
        raise CapabilityError(
            f"membership needs a classifier or a regression; {model.name} gives a layer's activations."
        )
    if (labels is None) != (outside_labels is None):
        side = "the case's rows" if labels is None else "the outside rows"
        raise InputError(f"{side} have no labels and the others have. Give both, or None for both.")
    has_classes, has_labels = model.gives != "values", labels is not None
    if not has_classes and not has_labels:
        raise InputError("membership of a regression reads the error: give labels and outside_labels.")
    inner, (outer, is_copy) = case.prediction, outputs_at(case, outside)
    none = np.empty(0, dtype=np.int64)
    first, second = (predicted_class(out, model.gives) if has_classes else none for out in (inner, outer))
    own = true_labels(model, labels, len(case), inner) if has_labels else first
    other = true_labels(model, outside_labels, len(outer), outer) if has_labels else second
    return _Losses(
        inside=losses(inner, own, model),
        outside=losses(outer, other, model),
        correct_inside=np.asarray(first == own) if has_classes else none,
        correct_outside=np.asarray(second == other) if has_classes else none,
        copies=int(is_copy.sum()),
        subject=model.name,
        has_labels=has_labels,
    )


def _assign_folds(ids: Any, seed: Seed, folds: int) -> Ints:
    """The fold of each row: equal sizes, by row id and not by position."""
    order = np.argsort(np.array([str(i) for i in ids]), kind="stable")
    fold = np.empty(len(order), dtype=np.int64)
    fold[order] = seed.child("membership", "folds").generator().permutation(len(order)) % folds
    return fold


def cross_fitted_hits(inside: Floats, outside: Floats, fold: Ints, other_fold: Ints) -> Iterator[tuple[int, int]]:
    """For each fold, the number of inside and of outside rows classified as members.

    The loss threshold is the one that is best on all other folds.
    """
    for left_out in range(int(fold.max()) + 1):
        tau = _best_threshold(inside[fold != left_out], outside[other_fold != left_out])
        yield (
            int((inside[fold == left_out] <= tau).sum()),
            int((outside[other_fold == left_out] <= tau).sum()),
        )


def _best_threshold(inside: Floats, outside: Floats) -> float:
    """The loss τ at which the share of ``inside`` ≤ τ exceeds that of ``outside`` most; −∞ where it never does.

    τ is halfway between two observed losses; below an infinite loss, it is the largest finite number.
    """
    values = np.unique(np.concatenate([inside, outside]))
    advantage = _share(inside, values) - _share(outside, values)
    best = int(advantage.argmax())
    if advantage[best] <= 0:
        return -np.inf
    # at the largest loss both shares are 1, so a next one exists
    return float(min(values[best] / 2 + values[best + 1] / 2, np.finfo(np.float64).max))


def _share(losses: Floats, values: Floats) -> Floats:
    return np.asarray(np.searchsorted(np.sort(losses), values, side="right") / len(losses))


def _advantage(measured: _Losses, assigned: tuple[Ints, Ints], folds: int, level: float, threshold: float) -> Finding:
    inside, outside = measured.inside, measured.outside
    hits, alarms = (int(total) for total in np.sum(list(cross_fitted_hits(inside, outside, *assigned)), axis=0))
    advantage = hits / len(inside) - alarms / len(outside)
    area = auc(inside, outside)
    limits = auc_interval(area, len(inside), len(outside), level)
    return judged_finding(
        ADVANTAGE,
        Basis("rates", {"hits": np.array([hits, alarms]), "trials": np.array([len(inside), len(outside)])}),
        level,
        threshold,
        ADVICE,
        claim=(
            f"Membership inference from the {measured.statistic} has advantage {advantage:.3f} (0 = none, 1 = certain)"
            f"{measured.warning}."
        ),
        subject=measured.subject,
        estimate=advantage,
        null=0.0,
        n=len(inside) + len(outside),
        meaning=MEANING[ADVANTAGE] + measured.remark,
        evidence={
            "true positive rate": hits / len(inside),
            "false positive rate": alarms / len(outside),
            "auc": area,
            "auc low": limits.low,
            "auc high": limits.high,
            "roc": _roc(inside, outside),
            "folds": folds,
            **({} if measured.has_labels else {"statistic": measured.statistic}),
            **measured.sizes(),
        },
    )


def _at_low_rate(measured: _Losses, level: float, rate: float) -> Finding:
    inside, outside = measured.inside, measured.outside
    if not 0 < rate < 1:
        raise InputError(f"rate={rate}; a false-positive rate lies between 0 and 1.")
    used = max(rate, 10 / len(outside))
    if used > 0.5:
        return _too_few_rows(measured, rate)
    # members have a loss strictly below the first unseen loss that would be one false positive too many
    limit = np.sort(outside)[int(np.floor(used * len(outside) + 1e-9))]
    hits, alarms = int((inside < limit).sum()), int((outside < limit).sum())
    true, false = clopper_pearson(hits, len(inside), level), clopper_pearson(alarms, len(outside), level)
    floor = f" (with {len(outside)} unseen rows, {rate:.1%} cannot be measured)" if used > rate else ""
    return Finding(
        code=LOW_RATE.code,
        verdict="informative",
        claim=(
            f"Membership inference from the {measured.statistic} has true-positive rate {hits / len(inside):.1%} at a "
            f"false-positive rate of at most {used:.1%}{floor}{measured.warning}."
        ),
        subject=measured.subject,
        estimate=hits / len(inside),
        interval=true,
        null=alarms / len(outside),
        n=len(inside) + len(outside),
        meaning=MEANING[LOW_RATE] + measured.remark,
        advice="If the lower limit exceeds the upper limit of the false-positive rate, the attack identifies training "
        "rows better than chance.",
        evidence={
            "requested rate": rate,
            "rate used": used,
            "false positive rate": alarms / len(outside),
            "false positive rate low": false.low,
            "false positive rate high": false.high,
            "above chance": bool(true.low > false.high),
            **measured.sizes(),
        },
    )


def _too_few_rows(measured: _Losses, rate: float) -> Finding:
    rows = len(measured.outside)
    claim = f"{rows} unseen rows are too few to measure a false-positive rate of {rate:.1%}; at least 20 are needed."
    return _not_run(LOW_RATE, measured, rows, claim, f"Give at least {int(np.ceil(10 / rate))} unseen rows.")


def _not_run(check: Check, measured: _Losses, rows: int, claim: str, advice: str) -> Finding:
    return Finding(check.code, "not run", claim, measured.subject, n=rows, meaning=MEANING[check], advice=advice)


def _gap(measured: _Losses, level: float) -> Finding:
    if not measured.has_labels:
        rows = len(measured.inside) + len(measured.outside)
        claim = "The generalisation gap needs the true labels of both sides."
        return _not_run(GENERALISATION, measured, rows, claim, "Give labels and outside_labels.")
    inside, outside = measured.inside, measured.outside
    loss_gap, loss_interval = _welch(outside, inside, level)
    if len(measured.correct_inside):
        hits, others = int(measured.correct_inside.sum()), int(measured.correct_outside.sum())
        interval = newcombe(hits, len(inside), others, len(outside), level)
        gap = hits / len(inside) - others / len(outside)
        what, sides = "accuracy", (hits / len(inside), others / len(outside))
    else:
        gap, interval = loss_gap, loss_interval
        what, sides = "mean squared error", (float(inside.mean()), float(outside.mean()))
    on_training, on_unseen, apart, low, high = map(claim_number, (*sides, gap, interval.low, interval.high))
    return Finding(
        code=GENERALISATION.code,
        verdict="informative",
        claim=f"The {what} is {on_training} on training rows and {on_unseen} on unseen rows: a gap of {apart} "
        f"[{low}, {high}]{measured.warning}.",
        subject=measured.subject,
        estimate=gap,
        interval=interval,
        null=0.0,
        n=len(inside) + len(outside),
        meaning=MEANING[GENERALISATION],
        advice="A gap whose interval lies above 0 is overfitting: regularise, stop earlier, or collect more rows.",
        evidence={
            f"{what} inside": sides[0],
            f"{what} outside": sides[1],
            "loss gap": _finite(loss_gap),
            "loss gap low": _finite(loss_interval.low),
            "loss gap high": _finite(loss_interval.high),
            **measured.sizes(),
        },
    )


def _welch(a: Floats, b: Floats, level: float) -> tuple[float, Interval]:
    """Mean of ``a`` minus mean of ``b`` with Welch's interval; infinite losses leave it undefined (NaN)."""
    undefined = Interval(np.nan, np.nan, level, "undefined")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("nan"), undefined
    gap = float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2:
        return gap, undefined
    pieces = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)])
    if pieces.sum() == 0:
        return gap, Interval(gap, gap, level, "welch")
    freedom = pieces.sum() ** 2 / (pieces**2 / [len(a) - 1, len(b) - 1]).sum()
    half = float(scipy_stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(pieces.sum()))
    return gap, Interval(gap - half, gap + half, level, "welch")


def _roc(inside: Floats, outside: Floats, points: int = 40) -> list[list[float]]:
    """At most ``points`` pairs (false, true positive rate), from (0, 0) to (1, 1), evenly spread over the losses."""
    values = np.unique(np.concatenate([inside, outside]))
    chosen = values[np.unique(np.linspace(0, len(values) - 1, min(points - 1, len(values))).round().astype(int))]
    pairs = np.stack([_share(outside, chosen), _share(inside, chosen)], axis=1)
    return [[0.0, 0.0], *([round(float(f), 6), round(float(t), 6)] for f, t in pairs)]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
