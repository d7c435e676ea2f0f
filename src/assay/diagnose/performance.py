# SPDX-License-Identifier: Apache-2.0
"""How good the model's predictions are on held-out rows: against a constant prediction, by class, and calibrated."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Basis
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.performance.calibration import calibration
from assay.engine.performance.labelled_outputs import LabelledOutputs, labelled_outputs
from assay.engine.performance.metrics import (
    Metric,
    auc_pseudo_values,
    class_metrics,
    classification_metrics,
    confusion_matrix,
    regression_metrics,
)
from assay.nouns.catalogue import Check, Method
from assay.nouns.results.finding import Finding, claim_number

MIN_SKILL, MAX_CALIBRATION_ERROR, MAX_COVERAGE_ERROR = 0.1, 0.1, 0.05
"""Default thresholds: 2 · AUC − 1, expected calibration error, distance of a quantile's coverage from its level."""

CUT = "classes with fewer rows, not listed"
"""Key of the evidence for the number of classes that the table of classes leaves out."""

MAX_CLASSES = 20
"""Classes of which the confusion matrix is shown."""

POINTS = 200
"""Rows whose residual is shown."""

_REMEDY = (
    "Do not use this model: check that rows and labels belong together, then train again. Explanations of it explain "
    "noise."
)

SKILL = Check(
    "PER101",
    "Does the classifier rank rows better than a constant?",
    _REMEDY,
    MIN_SKILL,
    "at least",
    undecided_from=0.4,
    severe=0.0,
)
VALUES = Check(
    "PER102", "Are the values of the regression better than a constant?", _REMEDY, 0.0, "at least", 0.3, severe=-0.3
)
DECISIONS = Check(
    "PER103",
    "Are the model's decisions worse than always the most frequent class?",
    "Move the decision threshold (sklearn.model_selection.TunedThresholdClassifierCV), or train with class weights.",
    0.0,
    "at least",
    severe=-0.05,
)
CALIBRATED = Check(
    "PER104",
    "How far are the probabilities from the shares of events?",
    "Recalibrate on rows of their own: sklearn.calibration.CalibratedClassifierCV, or temperature scaling for a net.",
    MAX_CALIBRATION_ERROR,
    "at most",
    severe=0.25,
)
COVERAGE = Check(
    "PER105",
    "Do quantiles cover the share of labels that they should?",
    "Recalibrate the quantiles on rows of their own (conformal prediction), or train with more data.",
    MAX_COVERAGE_ERROR,
    "at most",
    severe=0.15,
)
CHECKS = (SKILL, VALUES, DECISIONS, CALIBRATED, COVERAGE)

MEANING = {
    SKILL: "Skill 2 · AUC − 1: 0 for a constant or random score, 1 for a perfect one; AUC is the probability that a "
    "row of the class gets a higher score than a row of another class (several classes: their mean). A model "
    "that learnt noise can reach a small skill by chance, so it has to exceed 0.1. The check fails where that is not "
    "shown, unless the interval reaches 0.4: so few rows cannot show it.",
    VALUES: "R²: 1 − squared error / squared error of a constant; 1 is perfect, 0 no better than the constant, below 0 "
    "worse. The check fails where it is not shown to be above 0, unless the interval reaches 0.3: so few rows cannot "
    "show it.",
    DECISIONS: "Accuracy minus the accuracy of always deciding for the most frequent class, −1 … 1. With rare classes "
    "a useful score can have decisions that are no better: the threshold is then wrong for this use.",
    CALIBRATED: "Expected calibration error, 0 … 1: mean distance between probability and share of events, in bins of "
    "equal size. A calibrated model has an error above 0 too; the null band says how much with so many rows. Slope "
    "below 1: probabilities too extreme; above 1: too moderate.",
    COVERAGE: "Largest distance between the share of labels at or below a predicted quantile and its level.",
}
_SKILL_ADVICE = {
    "pass": "No action needed on this evidence.",
    "fail": _REMEDY,
    "undecided": "Give more rows with true labels: so few cannot show whether the model predicts anything.",
}
ADVICE = {
    SKILL: _SKILL_ADVICE,
    VALUES: _SKILL_ADVICE,
    DECISIONS: {
        "pass": "No action needed on this evidence.",
        "fail": DECISIONS.remedy,
        "undecided": "Give more rows with true labels, or compare costs of both kinds of error instead of accuracy.",
    },
    CALIBRATED: {
        "pass": "No action needed on this evidence.",
        "fail": CALIBRATED.remedy,
        "undecided": "Give more rows with true labels; the interval contains the threshold.",
    },
    COVERAGE: {
        "pass": "No action needed on this evidence.",
        "fail": COVERAGE.remedy,
        "undecided": "Give more rows with true labels; the interval contains the threshold.",
    },
}


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    """One call on all rows; a constant prediction is learnt from the training labels where they are known."""
    train_labels = () if inputs.train is None else inputs.train[1]
    return [Call((inputs.ask(), inputs.labels), inputs.options_of(method) | {"train_labels": train_labels})]


@diagnostic(source="hanley1982", needs={"labels"}, optional={"train"}, checks=CHECKS, calls=_calls)
def performance(
    case: Case,
    labels: Any,
    *,
    train_labels: Any = (),
    previous: Any = (),
    level: float = 0.95,
    skill: float = MIN_SKILL,
    calibration_error: float = MAX_CALIBRATION_ERROR,
    coverage_error: float = MAX_COVERAGE_ERROR,
) -> list[Finding]:
    """How good the model's predictions are on rows it was not trained on, with their true ``labels``.

    A constant prediction (the most frequent class, the class shares, the mean) is learnt from ``train_labels`` where
    they are given, else from the labels themselves. For a series, ``previous`` is the last known value of each row
    (row,) and takes the place of the mean.

    PER101: skill 2 · AUC − 1 of a classifier (mean over classes); Newcombe's method 5 for two classes, DeLong's
    components for more; at least ``skill``. PER102: R² of a regression, Fieller; at least 0. Both fail where that is
    not shown. PER103: accuracy minus that of the most frequent class, paired by row. PER104: expected calibration error
    of the last of two classes, or of the class of the highest probability, in at most 10 bins of equal size with at
    least 25 rows; its interval adds the simulated distance between observed and true rates, which bounds the error of
    the estimate. At most ``calibration_error``. PER105, for models whose outputs are named "quantile 0.1", …: largest
    distance between level and coverage; exact binomial intervals for all quantiles together; at most
    ``coverage_error``.

    The evidence holds all metrics with intervals with those of the constant prediction, each class (of more than 100
    classes those of the most rows), the confusion matrix of at most 20 classes, the reliability curve, or the
    residuals. scikit-learn's calibration_curve uses bins of equal width, whose rates are noise where few rows fall into
    a bin.
    """
    if not (0 < level < 1 and 0 <= skill < 1 and 0 <= calibration_error <= 1 and 0 <= coverage_error <= 1):
        raise InputError(
            f"level={level}, skill={skill}, calibration_error={calibration_error}, coverage_error={coverage_error}; "
            f"needed are a level between 0 and 1, a skill in [0, 1) and errors from 0 to 1."
        )
    found = labelled_outputs(case, labels, train_labels)
    if found.is_classifier:
        return _of_classes(case, found, level, skill, calibration_error)
    quantiles = _quantile_levels(case.model.output_names)
    if quantiles is not None:
        return [
            *_not_applicable(case, (VALUES,), "it gives quantiles"),
            _coverage(case, found, quantiles, level, coverage_error),
        ]
    if found.outputs.shape[1] != 1:
        why = f"it gives {found.outputs.shape[1]} values a row; audit one: assay.model.one_output(model, name)"
        return _not_applicable(case, (VALUES,), why)
    return [_of_values(case, found, _constant(found, previous), len(previous) > 0, level)]


def _of_classes(case: Case, found: LabelledOutputs, level: float, least: float, largest_error: float) -> list[Finding]:
    metrics = classification_metrics(found, level, case.seed.child("performance"))
    by_name = {metric.name: metric for metric in metrics}
    rows = len(found.labels)
    tables: dict[str, Any] = {
        "metrics": {metric.name: metric.as_evidence() for metric in metrics},
        "by class": class_metrics(found, level),
    }
    left_out = found.scores.shape[1] - len(tables["by class"])
    if left_out:
        tables[CUT] = left_out
    if found.scores.shape[1] <= MAX_CLASSES:
        tables["confusion matrix"] = confusion_matrix(found)
    findings = [_skill_of_classes(case, found, by_name, level, least, tables)]
    if not case.model.kind.decides:
        return [*findings, *_not_applicable(case, (DECISIONS,), "its outputs do not show its decisions")]
    gained = found.correct.astype(np.float64) - (found.labels == found.most_frequent)
    accuracy = by_name["accuracy"]
    findings.append(
        judged_finding(
            DECISIONS,
            Basis("bounded", {"values": gained, "bounds": np.array([-1.0, 1.0])}),
            level,
            0.0,
            ADVICE[DECISIONS],
            claim=(
                f"Accuracy is {_text(accuracy)}; always deciding for the most frequent class reaches "
                f"{accuracy.constant:.3f}."
            ),
            subject=case.model.name,
            estimate=float(gained.mean()),
            null=0.0,
            n=rows,
            meaning=MEANING[DECISIONS],
        )
    )
    return [*findings, _calibration(case, found, level, largest_error)]


def _skill_of_classes(
    case: Case,
    found: LabelledOutputs,
    metrics: dict[str, Metric],
    level: float,
    least: float,
    tables: dict[str, Any],
) -> Finding:
    area = metrics["AUC"]
    if not np.isfinite(area.value):
        return _not_applicable(case, (SKILL,), "all rows have labels of one class, so that no row can be ranked")[0]
    if found.scores.shape[1] == 2:
        data = {"area": area.value, "count": int((found.labels == 1).sum()), "other": int((found.labels == 0).sum())}
        basis = Basis("skill", data)
    else:
        basis = Basis("bounded", {"values": 2 * auc_pseudo_values(found) - 1, "bounds": np.array([-1.0, 1.0])})
    return judged_finding(
        SKILL,
        basis,
        level,
        least,
        ADVICE[SKILL],
        claim=f"AUC is {_text(area)}; 0.5 is a constant, 1 a perfect ranking.",
        subject=case.model.name,
        estimate=2 * area.value - 1,
        null=0.0,
        n=len(found.labels),
        meaning=MEANING[SKILL],
        evidence=tables,
    )


def _calibration(case: Case, found: LabelledOutputs, level: float, largest: float) -> Finding:
    if found.probabilities is None:
        return _not_applicable(case, (CALIBRATED,), "its scores are no log odds, so it has no probabilities")[0]
    two = found.scores.shape[1] == 2
    if two:
        probability, event, what = found.probabilities[:, 1], found.labels == 1, f"class {_last(found)}"
    else:
        own = found.probabilities.argmax(axis=1)
        probability, event = found.probabilities[np.arange(len(own)), own], found.labels == own
        what = "the class of the highest probability"
    measured = calibration(probability, event, case.seed.child("performance", "calibration"), level)
    if measured is None:
        return _not_applicable(case, (CALIBRATED,), f"{len(event)} rows are too few for two bins of 25")[0]
    return judged_finding(
        CALIBRATED,
        Basis("distance", {"observed": measured.error, "noise": measured.noise}),
        level,
        largest,
        ADVICE[CALIBRATED],
        claim=(
            f"The expected calibration error of {what} is {measured.error:.3f}. Null band, for comparison: 0 to "
            f"{measured.null_high:.3f} holds 95 % of the errors of calibrated models on samples of this size."
        ),
        subject=case.model.name,
        estimate=measured.error,
        null=measured.null_high,
        n=len(event),
        meaning=MEANING[CALIBRATED],
        evidence={
            "slope": measured.slope,
            "slope low": measured.slope_interval.low,
            "slope high": measured.slope_interval.high,
            "intercept": measured.intercept,
            "null band, upper limit": measured.null_high,
            "reliability curve": measured.curve,
        },
    )


def _constant(found: LabelledOutputs, previous: Any) -> Floats:
    """The prediction without a model (row,): the previous value of a series, else the mean of the reference labels."""
    rows = len(found.labels)
    if not len(previous):
        return np.full(rows, float(np.mean(found.reference)))
    values = np.asarray(previous, dtype=np.float64).ravel()
    if len(values) != rows or not np.isfinite(values).all():
        raise InputError(f"previous holds {len(values)} values for {rows} rows; one finite number a row is needed.")
    return values


def _of_values(case: Case, found: LabelledOutputs, constant: Floats, is_series: bool, level: float) -> Finding:
    metrics = regression_metrics(found, level, constant)
    skill, errors = metrics[0], metrics[1]
    if not np.isfinite(skill.value):
        return _not_applicable(case, (VALUES,), "all labels are equal")[0]
    squares = (found.outputs[:, 0] - found.labels) ** 2
    others = (constant - found.labels) ** 2
    against = "the previous value" if is_series else "the mean"
    return judged_finding(
        VALUES,
        Basis("ratio", {"part": others - squares, "whole": others}),
        level,
        0.0,
        ADVICE[VALUES],
        claim=(
            f"R² against {against} is {_text(skill)}; RMSE is {_text(errors)}, that of {against} "
            f"{claim_number(errors.constant)}."
        ),
        subject=case.model.name,
        estimate=skill.value,
        null=0.0,
        n=len(squares),
        meaning=MEANING[VALUES],
        evidence={
            "metrics": {metric.name: metric.as_evidence() for metric in metrics},
            "residuals": _residuals(case, found),
        },
    )


def _residuals(case: Case, found: LabelledOutputs) -> list[dict[str, float]]:
    """Prediction and residual of rows drawn by the seed, in the order of the predictions."""
    count = len(found.labels)
    drawn = case.seed.child("performance", "residuals").generator().permutation(count)[:POINTS]
    values = found.outputs[drawn, 0]
    order = np.argsort(values, kind="stable")
    return [{"prediction": float(values[i]), "residual": float(values[i] - found.labels[drawn[i]])} for i in order]


def _quantile_levels(names: tuple[str, ...]) -> list[float] | None:
    matches = [re.fullmatch(r"quantile (0?\.\d+|0|1)", name) for name in names]
    return [float(match[1]) for match in matches if match] if names and all(matches) else None


def _coverage(case: Case, found: LabelledOutputs, levels: list[float], level: float, largest: float) -> Finding:
    rows = len(found.labels)
    hits = np.array([int((found.labels <= found.outputs[:, place]).sum()) for place in range(len(levels))])
    distance = np.abs(hits / rows - levels)
    worst = int(distance.argmax())
    outer = (found.labels > found.outputs.min(axis=1)) & (found.labels <= found.outputs.max(axis=1))
    return judged_finding(
        COVERAGE,
        Basis("coverage", {"hits": hits, "trials": rows, "levels": np.array(levels)}),
        level,
        largest,
        ADVICE[COVERAGE],
        claim=(
            f"{hits[worst] / rows:.1%} of labels are at or below the predicted quantile {levels[worst]:g}, the largest "
            f"distance among {len(levels)} quantiles."
        ),
        subject=case.model.name,
        estimate=float(distance[worst]),
        null=0.0,
        n=rows,
        meaning=MEANING[COVERAGE],
        evidence={
            "coverage": {
                f"quantile {one:g}": {"share of labels at or below": hit / rows} for one, hit in zip(levels, hits)
            },
            "share between the lowest and the highest quantile": float(outer.mean()),
        },
    )


def _not_applicable(case: Case, checks: tuple[Check, ...], why: str) -> list[Finding]:
    return [
        Finding(
            code=check.code,
            verdict="not applicable",
            claim=f"{case.model.name}: {why}.",
            subject=case.model.name,
            meaning=MEANING[check],
        )
        for check in checks
    ]


def _last(found: LabelledOutputs) -> str:
    return found.classes[-1] if found.classes else "1"


def _text(metric: Metric) -> str:
    value, low, high = map(claim_number, (metric.value, metric.interval.low, metric.interval.high))
    return f"{value} [{low}, {high}]"
