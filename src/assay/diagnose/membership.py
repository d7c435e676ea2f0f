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
from assay.engine.declare import diagnostic
from assay.engine.retraining.labelled_rows import losses, outputs, shared, truth, written
from assay.nouns.inputs.target import class_scores
from assay.nouns.results.result import Finding, judge

ADVANTAGE = (
    "True-positive minus false-positive rate of the attack that calls a row a member when its loss is small: 0 for a "
    "guess, 1 for a perfect attack. The threshold was chosen on other rows than it was measured on. Misleading when "
    "the two sets are no random split of one population; and it speaks of the average row, not of the worst."
)
LOW_RATE = (
    "Share of training rows an attacker recognises while he mistakes at most this share of unseen rows for them. No "
    "better than chance when it equals the false-positive rate. With m unseen rows, rates below 10/m cannot be "
    "measured."
)
GENERALISATION = (
    "How much better the model does where it was trained; 0 without overfitting, larger is worse. A model can leak "
    "without it: confidence may differ where accuracy does not."
)
ADVICE = {
    "pass": "Nothing to do on this evidence; test single rows with a shadow-model attack if they are sensitive.",
    "fail": "Retrain with more regularisation (repair.refit with strength, through a Recipe) and measure again.",
    "undecided": "Give more rows on both sides; the interval straddles the threshold.",
}


@dataclass(frozen=True)
class _Losses:
    """Losses of rows trained on and of rows never seen, and whether their class was predicted (regression: empty)."""

    inside: Floats
    outside: Floats
    right_inside: Masks
    right_outside: Masks
    copies: int
    subject: str

    def sizes(self) -> dict[str, Any]:
        """How many rows each side has, and how many outside rows are copies of inside ones."""
        return {"inside": len(self.inside), "outside": len(self.outside), "copies": self.copies}

    @property
    def warning(self) -> str:
        """What a copy across the split does, where there is one."""
        return f" ({self.copies} of the outside rows also occur inside)" if self.copies else ""


@diagnostic(source="yeom2018")
def membership(
    case: Case,
    labels: Any,
    outside: Any,
    outside_labels: Any,
    *,
    level: float = 0.95,
    folds: int = 2,
    threshold: float = 0.1,
    rate: float = 0.01,
) -> list[Finding]:
    """How well the loss alone tells rows the model was trained on from rows it never saw.

    The case holds training rows with their true ``labels``; ``outside`` holds rows of the same population,
    never trained on, in the form of the case's x. The attack says "member" where the loss of the true label
    (cross-entropy in float64, squared error of a regression) is at most τ. Labels are looked up among the
    class names first, else are positions.

    PRV101: advantage TPR − FPR, −1 … 1, 0 without a leak. τ maximises it on all folds but one and is measured
    on the one left out; hits are pooled over ``folds``; Newcombe's interval. Judged against ``threshold``.

    PRV102: TPR at a false-positive rate of ``rate``, or of 10/m where m outside rows support no smaller one;
    Clopper–Pearson limits for both rates. Under 20 outside rows it is not run.

    PRV103: accuracy inside − outside (a regression: squared error outside − inside, Welch's interval).

    The two sides must be a random split of one population: a shift between them scores as a leak. A small
    advantage does not show that no single row leaks; shadow-model attacks (LiRA) find more. Most tools choose
    τ on the rows they then measure, which makes the advantage positive where there is none.
    """
    measured = _measured(case, labels, outside, outside_labels)
    smallest = min(len(measured.inside), len(measured.outside))
    if folds < 2 or smallest < folds:
        raise InputError(
            f"folds={folds} with {len(measured.inside)} rows inside and {len(measured.outside)} outside; at "
            f"least 2 folds are needed, and a row of each side in each."
        )
    parts = (
        _folds(case.rows.ids, case.seed, folds),
        _folds(range(len(measured.outside)), case.seed.child("out"), folds),
    )
    return [
        _advantage(measured, parts, folds, level, threshold),
        _at_low_rate(measured, level, rate),
        _gap(measured, level),
    ]


def _measured(case: Case, labels: Any, outside: Any, outside_labels: Any) -> _Losses:
    model = case.model
    if model.gives == "units":
        raise CapabilityError(
            f"membership needs a classifier or a regression; {model.name} gives a layer's activations."
        )
    x = written(case, outside)
    inner, outer = case.prediction, outputs(case, x)
    own, other = truth(model, labels, len(case), inner), truth(model, outside_labels, len(x), outer)
    none = np.empty(0, dtype=bool)
    judged = model.gives != "values"
    return _Losses(
        inside=losses(inner, own, model),
        outside=losses(outer, other, model),
        right_inside=class_scores(inner, model.gives).argmax(axis=1) == own if judged else none,
        right_outside=class_scores(outer, model.gives).argmax(axis=1) == other if judged else none,
        copies=int(shared(x, case.rows.x).sum()),
        subject=model.name,
    )


def _folds(ids: Any, seed: Seed, folds: int) -> Ints:
    """The fold of each row: equal sizes, following ids and not places."""
    order = np.argsort(np.array([str(i) for i in ids]), kind="stable")
    fold = np.empty(len(order), dtype=np.int64)
    fold[order] = seed.child("membership", "folds").generator().permutation(len(order)) % folds
    return fold


def cross_fitted(inside: Floats, outside: Floats, fold: Ints, other_fold: Ints) -> Iterator[tuple[int, int]]:
    """Of each fold: how many rows inside, and outside, are called members by the threshold best on all other folds."""
    for left_out in range(int(fold.max()) + 1):
        tau = _best_threshold(inside[fold != left_out], outside[other_fold != left_out])
        yield (
            int((inside[fold == left_out] <= tau).sum()),
            int((outside[other_fold == left_out] <= tau).sum()),
        )


def _best_threshold(inside: Floats, outside: Floats) -> float:
    """The loss τ at which the share of ``inside`` ≤ τ exceeds that of ``outside`` most; −∞ where it nowhere does.

    Between two losses seen, τ is halfway; below an infinite one, it is the largest finite number.
    """
    values = np.unique(np.concatenate([inside, outside]))
    lead = _share(inside, values) - _share(outside, values)
    best = int(lead.argmax())
    if lead[best] <= 0:
        return -np.inf
    # at the largest loss both shares are 1, so a next one exists
    return float(min(values[best] / 2 + values[best + 1] / 2, np.finfo(np.float64).max))


def _share(losses: Floats, values: Floats) -> Floats:
    return np.asarray(np.searchsorted(np.sort(losses), values, side="right") / len(losses))


def _advantage(measured: _Losses, parts: tuple[Ints, Ints], folds: int, level: float, threshold: float) -> Finding:
    inside, outside = measured.inside, measured.outside
    hits, alarms = (int(total) for total in np.sum(list(cross_fitted(inside, outside, *parts)), axis=0))
    basis = Basis("rates", {"hits": np.array([hits, alarms]), "trials": np.array([len(inside), len(outside)])})
    interval = basis.at(level)
    advantage = hits / len(inside) - alarms / len(outside)
    verdict = judge(interval, threshold, "at most")
    area = auc(inside, outside)
    limits = auc_interval(area, len(inside), len(outside), level)
    return Finding(
        code="PRV101",
        verdict=verdict,
        claim=(
            f"The loss tells training rows from unseen ones with an advantage of {advantage:.3f}{measured.warning}."
        ),
        subject=measured.subject,
        estimate=advantage,
        interval=interval,
        threshold=threshold,
        direction="at most",
        null=0.0,
        n=len(inside) + len(outside),
        meaning=ADVANTAGE,
        advice=ADVICE[verdict],
        evidence={
            "true positive rate": hits / len(inside),
            "false positive rate": alarms / len(outside),
            "auc": area,
            "auc low": limits.low,
            "auc high": limits.high,
            "roc": _roc(inside, outside),
            "folds": folds,
            **measured.sizes(),
        },
        basis=basis,
    )


def _at_low_rate(measured: _Losses, level: float, rate: float) -> Finding:
    inside, outside = measured.inside, measured.outside
    if not 0 < rate < 1:
        raise InputError(f"rate={rate}; a false-positive rate lies between 0 and 1.")
    used = max(rate, 10 / len(outside))
    if used > 0.5:
        claim = f"{len(outside)} unseen rows support no false-positive rate of {rate:.1%}; at least 20 are needed."
        advice = f"Give at least {int(np.ceil(10 / rate))} unseen rows."
        return Finding("PRV102", "not run", claim, measured.subject, n=len(outside), meaning=LOW_RATE, advice=advice)
    # members are the losses strictly below the first unseen loss that would be one alarm too many
    limit = np.sort(outside)[int(np.floor(used * len(outside) + 1e-9))]
    hits, alarms = int((inside < limit).sum()), int((outside < limit).sum())
    true, false = clopper_pearson(hits, len(inside), level), clopper_pearson(alarms, len(outside), level)
    floor = f" ({rate:.1%} is below what {len(outside)} unseen rows support)" if used > rate else ""
    return Finding(
        code="PRV102",
        verdict="informative",
        claim=(
            f"At a false-positive rate of at most {used:.1%}{floor} the loss recognises {hits / len(inside):.1%} of "
            f"the training rows{measured.warning}."
        ),
        subject=measured.subject,
        estimate=hits / len(inside),
        interval=true,
        null=alarms / len(outside),
        n=len(inside) + len(outside),
        meaning=LOW_RATE,
        advice="Where the lower limit is above the upper limit of the false-positive rate, single rows leak.",
        evidence={
            "rate asked": rate,
            "rate used": used,
            "false positive rate": alarms / len(outside),
            "false positive rate low": false.low,
            "false positive rate high": false.high,
            "above chance": bool(true.low > false.high),
            **measured.sizes(),
        },
    )


def _gap(measured: _Losses, level: float) -> Finding:
    inside, outside = measured.inside, measured.outside
    loss_gap, loss_interval = _welch(outside, inside, level)
    if len(measured.right_inside):
        hits, others = int(measured.right_inside.sum()), int(measured.right_outside.sum())
        interval = newcombe(hits, len(inside), others, len(outside), level)
        gap = hits / len(inside) - others / len(outside)
        what, sides = "accuracy", (hits / len(inside), others / len(outside))
    else:
        gap, interval = loss_gap, loss_interval
        what, sides = "mean squared error", (float(inside.mean()), float(outside.mean()))
    return Finding(
        code="PRV103",
        verdict="informative",
        claim=(
            f"The {what} is {sides[0]:.3g} on training rows and {sides[1]:.3g} on unseen ones: a gap of {gap:.3g} "
            f"[{interval.low:.3g}, {interval.high:.3g}]{measured.warning}."
        ),
        subject=measured.subject,
        estimate=gap,
        interval=interval,
        null=0.0,
        n=len(inside) + len(outside),
        meaning=GENERALISATION,
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
