# SPDX-License-Identifier: Apache-2.0
"""Whether a model that a person can read does the same job as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from assay.basics.errors import AssayError, CapabilityError, InputError
from assay.basics.paired_tests import rows_to_decide
from assay.basics.stats import Basis, Interval
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.data_quality.training_labels import labels_without_outputs
from assay.engine.declare import diagnostic
from assay.engine.performance.held_out import overlap_notes
from assay.engine.retraining.fine_tuning import require_pair
from assay.engine.retraining.labelled_rows import read_like, true_labels
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.finding import Finding

MARGIN = 0.01
"""Default margin: how much better than a readable model the model has to be, in units of the metric."""

Metric = Literal["auc", "accuracy", "loss"]
"""What the models are compared by."""

UNITS = {"auc": "AUC", "accuracy": "accuracy", "loss": "mean log loss"}

NEEDED = Check(
    "ITP101",
    "Is the model better than every readable model by more than the margin?",
    "Use the readable model, or say what the other one adds: repair.replace puts it in its place and runs every check "
    "again. Choose another margin beforehand if a smaller loss matters.",
    MARGIN,
    "at least",
    severe=-MARGIN,
    origin="a margin of non-inferiority: one point of AUC or accuracy",
)
CHECKS = (NEEDED,)

MEANING = (
    "Metric of the model minus that of the readable model on the same rows, which chose and fitted neither; above 0 "
    "the model is better. The check fails where the whole interval lies below the margin: the readable model is shown "
    "to be non-inferior. It passes where the model is shown to be better by the margin. Neither follows from a "
    "difference that is not significant. Rows from another time or place can reverse it."
)
ADVICE = {
    "pass": "Keep the model: the families tried lose more than the margin. Others may not.",
    "fail": NEEDED.remedy,
    "undecided": "Give more rows with true labels that were not used in training; the interval contains the margin.",
}


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    """One call with the training rows and the rows under audit."""
    assert inputs.train is not None
    return [Call((inputs.ask(), *inputs.train, (inputs.x, inputs.labels)), inputs.options_of(method))]


@diagnostic(
    source="rudin2019",
    needs={"classes", "table", "train", "labels"},
    checks=CHECKS,
    calls=_calls,
    audit_cost=lambda inputs: Cost(len(inputs.case)) * inputs.model.passes_per_row,
    has_exact_cost=False,
)
def simpler_model(
    case: Case,
    train: Any,
    train_labels: Any,
    held_out: tuple[Any, Any],
    *,
    families: Sequence[str] = ("tree", "rules", "score", "logistic", "additive"),
    metric: Literal["auto", "auc", "accuracy", "loss"] = "auto",
    threshold: float = MARGIN,
    level: float = 0.95,
) -> list[Finding]:
    """How much better the model is than the best readable model, on rows that trained neither.

    ``families``: tree (``OptimalTree``, depth 3), rules (``RuleList``, one condition a rule), score (``RiskScore``, at
    most 6 items), logistic (``LogisticModel``), additive (interpret-core's EBM, where installed). Each is fitted to
    ``train``, at most 10,000 of its rows drawn by the seed; thresholds and levels are chosen inside each fold. The
    family of the best ``metric`` in three-fold cross-validation *on the training rows* is fitted to all of them and
    compared once on ``held_out``, a pair of rows (those of the case) and true labels; so the comparison needs no
    correction for choosing among families (nested choice).

    ITP101: the paired difference, model minus readable model; AUC (mean over classes, DeLong's components with
    Student's interval), accuracy (Agresti and Min's), or minus the mean log loss (Student's; probabilities cut at
    1e-6). "auto" is AUC where the model gives scores. The margin is ``threshold``. **Fail** means that a readable model
    is non-inferior: the upper limit lies below the margin; at a true difference equal to the margin that happens in
    (1 − ``level``) / 2 of samples. An undecided finding says how many further rows would decide.

    The evidence has the readable model as text, its size, its certificate, and the difference of every family with
    Bonferroni's limits, which judge nothing. Not applicable to a model that is readable itself: linear, additive, one
    tree of at most 32 leaves, or one of these families. Refused for images and texts (``CapabilityError``).
    """
    if not (0 < level < 1 and 0 <= threshold < 1):
        raise InputError(f"level={level}, threshold={threshold}; needed: a level in (0, 1) and a margin in [0, 1).")
    require_pair("held_out", held_out)
    if len(read_like(case, held_out[0])) != len(case):
        raise InputError(f"held_out has other rows than the {len(case)} of the case; give these, and their labels.")
    from assay.interpretable.families import available, is_readable

    if not case.model.kind.exclusive:
        raise CapabilityError(f"{case.model.name} gives several labels a row; audit one of them.")
    if is_readable(case):
        return [_not_applicable(case)]
    codes = np.asarray(labels_without_outputs(case, train_labels, len(read_like(case, train))), dtype=np.int64)
    outputs = to_floats(case.prediction)
    labels = np.asarray(true_labels(case.model, held_out[1], len(case), outputs), dtype=np.int64)
    data = _Data(case, Recipe(lambda x, y, seed, strength: None, train, train_labels), codes, held_out[0], labels)
    kept, left_out = available(families, len(case.model.classes) or int(codes.max()) + 1)
    ranked = case.model.kind.decides and len(np.unique(labels)) > 1
    measure: Metric = metric if metric != "auto" else "auc" if ranked else "accuracy"
    return [_compared(data, kept, left_out, measure, threshold, level)]


@dataclass(frozen=True, eq=False)
class _Data:
    """The case with the class numbers of its rows, and the training rows with theirs."""

    case: Case
    train: Recipe
    codes: Ints
    x: Any
    labels: Ints


def difference_basis(model: Floats, other: Floats, metric: str) -> Basis:
    """The basis of the mean difference of two models' values on the same rows (row,): model minus other."""
    if metric == "accuracy":
        gained, lost = int((model > other).sum()), int((model < other).sum())
        return Basis(
            "paired sum",
            {"gained": np.array([gained]), "lost": np.array([lost]), "rows": np.array([len(model)]), "weight": 1.0},
        )
    return Basis("student", {"values": model - other})


@dataclass(frozen=True, eq=False)
class _Fitted:
    """The families fitted to all training rows: models and values of the held-out rows by name, the one chosen, the
    metric of each out of fold, and why others are missing."""

    models: Mapping[str, Any]
    values: Mapping[str, Floats]
    chosen: str
    scores: Mapping[str, float]
    left_out: Mapping[str, str]
    train: Any

    @staticmethod
    def of(data: _Data, names: Sequence[str], left_out: Mapping[str, str], metric: Metric) -> _Fitted:
        from assay.interpretable import families

        seed = data.case.seed.child("simpler model")
        train, codes = families.draw_rows(data.train, data.codes, seed)
        chosen, scores, failed = families.choose_family(names, train, codes, seed, metric)
        classes = max(len(data.case.model.classes), int(codes.max()) + 1, int(data.labels.max()) + 1)
        models, values, missing = {}, {}, {**left_out, **failed}
        for name in (one for one in names if one not in failed):
            try:
                models[name] = families.fit_family(name, train.x, codes, seed, data.case.model.classes)
            except AssayError as error:
                missing[name] = str(error)
                continue
            outputs = families.all_classes(models[name], data.x, classes)
            values[name] = families.row_values(outputs, data.labels, OutputKind.of("probabilities"), metric)
        if chosen not in models:
            raise CapabilityError(f"the chosen family {chosen} could not be fitted to all rows: {missing[chosen]}")
        return _Fitted(models, values, chosen, scores, missing, train.x)


def _compared(
    data: _Data, names: Sequence[str], left_out: dict[str, str], metric: Metric, margin: float, level: float
) -> Finding:
    from assay.interpretable.families import FAMILIES, row_values

    fitted = _Fitted.of(data, names, left_out, metric)
    own = row_values(to_floats(data.case.prediction), data.labels, data.case.model.kind, metric)
    family, chosen, other = FAMILIES[fitted.chosen], fitted.models[fitted.chosen], fitted.values[fitted.chosen]
    basis, estimate = difference_basis(own, other, metric), float(own.mean() - other.mean())
    interval, size = basis.at(level), f"{family.size(chosen)} {family.unit}"
    more = rows_to_decide(estimate, interval, margin, len(own)) if interval.low < margin <= interval.high else None
    name = f"{'minus ' if metric == 'loss' else ''}{UNITS[metric]}"
    numbers = (
        f"{name[:1].upper()}{name[1:]} is {own.mean():.4f}, that of {family.title} of {size} {other.mean():.4f}: "
        f"difference {estimate:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}], margin {margin:g}."
    )
    together = 1 - (1 - level) / len(fitted.values)
    return judged_finding(
        NEEDED,
        basis,
        level,
        margin,
        ADVICE,
        claim=f"{_conclusion(interval, margin, more)} {numbers}",
        subject=data.case.model.name,
        estimate=estimate,
        null=0.0,
        n=len(own),
        meaning=MEANING,
        more=more,
        evidence={
            "family": fitted.chosen,
            "readable model": family.text(chosen),
            "size": size,
            "proved": chosen.certificate_.text if hasattr(chosen, "certificate_") else "",
            "metric": name,
            "non-inferior at the margin": bool(interval.high < margin),
            "families": [_line(one, own, fitted, metric, together) for one in fitted.values],
            "left out": dict(fitted.left_out),
            "notes": [note.text for note in overlap_notes(fitted.train, data.x)],
        },
    )


def _line(name: str, own: Floats, fitted: _Fitted, metric: str, level: float) -> dict[str, Any]:
    """One family in the evidence: its metric, the difference with simultaneous limits, and its score in training."""
    other = fitted.values[name]
    limits = difference_basis(own, other, metric).at(level)
    return {
        "family": name,
        "value": float(other.mean()),
        "difference": float(own.mean() - other.mean()),
        "low, all together": limits.low,
        "high, all together": limits.high,
        "in training, out of fold": fitted.scores.get(name, float("nan")),
    }


def _conclusion(interval: Interval, margin: float, more: int | None) -> str:
    if interval.high < margin:
        return "An equally good readable model exists."
    if interval.low >= margin:
        return "The model is better than the readable ones."
    rows = "more rows than 1,000 times the present" if more is None else f"about {more:,} further rows"
    return f"Whether a readable model is as good is undecided; {rows} would decide."


def _not_applicable(case: Case) -> Finding:
    return Finding(
        code=NEEDED.code,
        verdict="not applicable",
        claim=f"{case.model.name} can be read itself.",
        subject=case.model.name,
        meaning=MEANING,
    )
