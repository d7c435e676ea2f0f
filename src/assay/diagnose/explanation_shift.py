# SPDX-License-Identifier: Apache-2.0
"""Whether a shift of the data changes explanations more than retraining does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from assay.basics.clustered import (
    clustered_student_interval,
    mean_interval,
    mean_with_standard_error,
    number_clusters,
)
from assay.basics.errors import CapabilityError, InputError
from assay.basics.stats import Basis, Interval
from assay.basics.types import Floats, Ints, PerPart
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.gradients.weight_path import estimate_gradient_lipschitz
from assay.engine.retraining.explanation_shift import available_parts, shift_measures
from assay.engine.retraining.label_randomisation import with_model
from assay.engine.retraining.labelled_rows import true_labels
from assay.engine.retraining.model_retraining import (
    ACCURACY_TOLERANCE,
    accuracy_terms,
    comparable_model,
    explain_model,
    retrain,
)
from assay.model.model import Model
from assay.nouns.catalogue import Check, Method
from assay.nouns.comparisons.explanation_shift import SIMILARITIES
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Explanation

MAX_EXCESS = 0.1
"""Default margin: how much more than retraining the shift may change explanations."""

_REMEDY = "Regularise more strongly, or fine-tune with a smaller step; assay.shift_study measures what helps."

TOP_FEATURES = Check(
    "SHF101",
    "Do top features and their signs change more under the shift than by retraining?",
    _REMEDY,
    MAX_EXCESS,
    "at most",
    severe=0.3,
)
ALL_FEATURES = Check(
    "SHF102",
    "Do explanations change more under the shift than by retraining?",
    _REMEDY,
    MAX_EXCESS,
    "at most",
    severe=0.5,
)
GRADIENTS = Check("SHF103", "How much do the gradients change with the weights?", "Informative; it has no threshold.")
ACCURACY = Check(
    "SHF104", "Are the models before and after the shift equally accurate?", "Informative; it has no threshold."
)
CHECKS = (TOP_FEATURES, ALL_FEATURES, GRADIENTS, ACCURACY)

MEASURES = {TOP_FEATURES: "sign", ALL_FEATURES: "turned"}
"""The measure of ``assay.explanation_shift`` that a check compares."""

MEANING = {
    TOP_FEATURES: "Share of the top k features that the two models do not both have with the same sign, minus the same "
    "share between the model and its retrainings with other seeds: 0 where the shift changes explanations as much as "
    "retraining. Where retraining already changes everything, no shift can be detected.",
    ALL_FEATURES: "Euclidean distance between the two models' explanations, each scaled to length 1 (0 … 2), minus the "
    "same distance between the model and its retrainings with other seeds: 0 where the shift changes explanations as "
    "much as retraining. All features count, small ones too.",
    GRADIENTS: "Euclidean distance between the two models' input gradients, mean over rows, in units of the target per "
    "unit of input. The gradient–parameter Lipschitz constant on the straight line between the weights is estimated on "
    "a grid: a lower bound, no certificate.",
    ACCURACY: "Accuracy (R² of a regression) of the models trained on shifted data minus that of the model, on these "
    "rows. Explanations of models with different accuracy are not comparable.",
}
ADVICE = {
    "pass": "No action needed on this evidence; explanations given before the shift are as valid as after retraining.",
    "fail": "Inform those who were given explanations before the shift. Weight decay, smoother activations (softplus) "
    "or a smaller fine-tuning step may stabilise explanations; assay.shift_study measures it.",
    "undecided": "Train more models on the shifted data (other=[…]), raise refits, or give more rows.",
}


@dataclass(frozen=True)
class _Changes:
    """Measures of change from the model's explanation: (refit, row) of retrainings, (model, row) of shifted models.

    ``among`` (pair, row) holds the measures between pairs of retrainings.
    """

    noise: dict[str, Floats]
    shift: dict[str, Floats]
    among: dict[str, Floats]
    clusters: Ints | None


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    options = inputs.options_of(method) | {"recipe": inputs.recipe, "other": list(inputs.other_models)}
    options |= {"labels": inputs.known_labels, "clusters": inputs.clusters}
    return [Call((inputs.explained, inputs.explanation), options)]


@diagnostic(
    source="meyer2023",
    needs={"other_models", "recipe", "explanation"},
    optional={"labels", "clusters"},
    checks=CHECKS,
    calls=_calls,
)
def explanation_shift(
    case: Case,
    explanation: Explanation,
    *,
    other: Any,
    recipe: Recipe,
    k: int = 5,
    refits: int = 9,
    margin: float = MAX_EXCESS,
    labels: Any = (),
    clusters: Any = None,
    level: float = 0.95,
    steps: int = 16,
) -> list[Finding]:
    """Whether training on shifted data changes the explanations of the same rows more than mere retraining does.

    ``other`` is the model after the shift (anything ``assay.wrap`` takes), or a list of such models, trained in the
    same way with other seeds. ``recipe`` trains the case's model on the data before the shift, ``refits`` times with
    seeds of its own. The same method, options, draws and labels explain all models. With m(A, B) a measure's mean over
    rows, A the case's model, A' its retrainings and B the others, the estimate is mean m(A, B) − mean m(A, A'): of
    m = 1 − sign agreement of the ``k`` top features (SHF101), and of the distance between explanations scaled to
    length 1 (SHF102), each at most ``margin``. Pass: within retraining noise. Fail: beyond it by more than the margin.
    ``margin=0`` tests for any excess, and hardly ever passes.

    The interval is Student's: it covers the sampling of models (one variance for both kinds) and of rows, whole
    ``clusters`` at a time. Where ``other`` is just one more retraining, (1 − level)/2 of runs fail at ``margin=0``,
    fewer above it: .7 to 2.1 % were measured with 9 refits, up to 3.6 % with 3. A is fixed, so it need not come from
    the recipe; the evidence reports how far its retrainings are from one another, and whether A is farther apath. A
    recipe that ignores its seed gives no noise, and every change is beyond it. New rows from the same population count
    as a shift, too: the noise band covers seeds alone.

    SHF103 (nets of one architecture; the first of ``other``): mean distance of the gradients, and the Lipschitz
    constant of gradients by weights, estimated at ``steps`` + 1 points between the weights. SHF104 (with true
    ``labels``): accuracies, since only explanations of equally accurate models are comparable. The paper's measures
    are in the evidence of SHF101, with intervals over rows.
    """
    if not (0 < level < 1 and margin >= 0 and refits >= 2):
        raise InputError(f"level={level}, margin={margin}, refits={refits}; needed are (0, 1), ≥ 0 and at least 2.")
    if not isinstance(recipe, Recipe):
        raise InputError(f"recipe is a {type(recipe).__name__}; give assay.Recipe(fit, x, y).")
    given = list(other) if isinstance(other, list | tuple) else [other]
    if not given:
        raise InputError("other is empty; give the model trained on shifted data.")
    others = [comparable_model(case, model, "the other model") for model in given]
    shifted = [explain_model(explanation, case, model) for model in others]
    groups = None if clusters is None else number_clusters(clusters, len(case))
    again = [retrain(case, recipe, number) for number in range(refits)]
    changes = _changes(explanation, [explain_model(explanation, case, model) for model in again], shifted, k, groups)
    return [
        *(_excess(check, changes, case, k, margin, level) for check in MEASURES),
        _gradients(case, others[0], groups, level, steps),
        _accuracy(case, again, others, labels, groups, level),
    ]


def _changes(
    explanation: Explanation, retrained: list[PerPart], shifted: list[PerPart], k: int, clusters: Ints | None
) -> _Changes:
    available, own = available_parts(explanation), explanation.values

    def stacked(pairs: Sequence[tuple[PerPart, PerPart]]) -> dict[str, Floats]:
        each = [shift_measures(one, other, available, k) for one, other in pairs]
        return {measure: np.stack([found[measure] for found in each]) for measure in each[0]}

    return _Changes(
        stacked([(own, values) for values in retrained]),
        stacked([(own, values) for values in shifted]),
        stacked(list(combinations(retrained, 2))),
        clusters,
    )


def _excess(check: Check, changes: _Changes, case: Case, k: int, margin: float, level: float) -> Finding:
    measure = MEASURES[check]
    sign = -1.0 if measure in SIMILARITIES else 1.0
    noise, shift = sign * changes.noise[measure], sign * changes.shift[measure]
    defined = ~np.isnan(noise).any(axis=0) & ~np.isnan(shift).any(axis=0)
    if not defined.any():
        return Finding(
            code=check.code,
            verdict="not applicable",
            claim="No row has an explanation other than 0 or NaN from every model.",
            subject=case.model.name,
            n=len(case),
            meaning=MEANING[check],
            advice="Explain a target that depends on the rows.",
        )
    noise, shift = noise[:, defined], shift[:, defined]
    groups = None if changes.clusters is None else changes.clusters[defined]
    _, error, freedom = mean_with_standard_error(shift.mean(axis=0) - noise.mean(axis=0), groups)
    means = {"noise": noise.mean(axis=1), "moved": shift.mean(axis=1)}
    finding = judged_finding(
        check,
        Basis("excess", {**means, "rows": np.array([error, freedom])}),
        level,
        margin,
        ADVICE,
        claim="",
        subject=case.model.name,
        estimate=float(means["moved"].mean() - means["noise"].mean()),
        null=0.0,
        n=int(defined.sum()),
        meaning=MEANING[check],
    )
    assert finding.interval is not None
    evidence = _evidence(measure, sign, changes, means, finding.interval, level)
    return replace(finding, claim=_claim(measure, sign, means, k, finding.verdict), evidence=evidence)


def _claim(measure: str, sign: float, means: dict[str, Floats], k: int, verdict: str) -> str:
    noise, shift = sign * float(means["noise"].mean()), sign * float(means["moved"].mean())
    conclusion = {
        "pass": "within retraining noise",
        "fail": "more than retraining noise",
        "undecided": "undecided whether more than retraining noise",
    }[verdict]
    if measure == "sign":
        return (
            f"Of the top {k} features, {shift:.0%} stay in the top {k} with the same sign under the shift, {noise:.0%} "
            f"after retraining without it: {conclusion}."
        )
    return (
        f"Explanations scaled to length 1 change by {shift:.3g} under the shift, by {noise:.3g} after retraining "
        f"without it: {conclusion}."
    )


def _evidence(
    measure: str, sign: float, changes: _Changes, means: dict[str, Floats], interval: Interval, level: float
) -> dict[str, Any]:
    noise, among = sign * means["noise"], changes.among[measure]
    pairs = np.array([_mean(pair) for pair in among])
    found: dict[str, Any] = {
        "measure": measure,
        "shifted models": [float(value) for value in sign * means["moved"]],
        "retrainings": [float(value) for value in noise],
        "between retrainings": [_finite(value) for value in (pairs.mean(), pairs.min(), pairs.max())],
        "model is farther from its retrainings than they are from one another": bool(
            (sign * pairs).max() < (sign * noise).min()
        ),
        "more than retraining noise": bool(interval.low > 0),
        "retrainings with a smaller change": int((means["noise"] < means["moved"].min()).sum()),
    }
    if not noise.size or np.ptp(noise) == 0:
        found["note"] = "all retrainings changed explanations equally: does the recipe use its seed?"
    return found | ({"measures": _table(changes, level)} if measure == "sign" else {})


def _table(changes: _Changes, level: float) -> list[dict[str, Any]]:
    """Every measure: mean over rows and models under the shift, its interval over rows, and the retrainings' mean."""
    lines = []
    for measure, values in changes.shift.items():
        each, defined = values.mean(axis=0), ~np.isnan(values).any(axis=0)
        groups = None if changes.clusters is None else changes.clusters[defined]
        interval = mean_interval(each[defined], groups, level)
        limits = {"low": _finite(interval.low), "high": _finite(interval.high)}
        lines.append(
            {"measure": measure, "shift": _finite(_mean(each)), **limits}
            | {"retraining": _finite(_mean(changes.noise[measure].mean(axis=0))), "rows": int(defined.sum())}
        )
    return lines


def _gradients(case: Case, other: Model, clusters: Ints | None, level: float, steps: int) -> Finding:
    about: dict[str, Any] = {"code": GRADIENTS.code, "subject": case.model.name, "n": len(case)}
    about["meaning"] = MEANING[GRADIENTS]
    try:
        path = estimate_gradient_lipschitz(case, other, steps=steps)
    except CapabilityError as error:
        advice = "Give two torch nets of one architecture."
        return Finding(verdict="not applicable", claim=f"No path between the weights: {error}", advice=advice, **about)
    mean, bound = float(path.distance.mean()), path.constant * path.weight_distance
    return Finding(
        verdict="informative",
        claim=(
            f"The gradients differ by {mean:.3g} and the weights by {path.weight_distance:.3g}; the gradient–parameter "
            f"Lipschitz constant between them is at least about {path.constant:.3g} (estimated on {steps + 1} points, "
            f"no certificate)."
            if path.weight_distance
            else "The two models have the same weights."
        ),
        estimate=mean,
        interval=mean_interval(path.distance, clusters, level),
        null=0.0,
        advice="An estimate that grows with steps (compare both) has not converged; that of a ReLU net never does.",
        evidence={
            "distance of weights": path.weight_distance,
            "estimated constant": _finite(path.constant),
            "constant with half the steps": _finite(path.coarse),
            "constant between the two models": _finite(path.end_to_end),
            "constant × distance of weights": _finite(bound),
            "steps": steps,
        },
        **about,
    )


def _accuracy(
    case: Case, again: list[Model], others: list[Model], labels: Any, clusters: Ints | None, level: float
) -> Finding:
    about: dict[str, Any] = {"code": ACCURACY.code, "subject": case.model.name, "n": len(case)}
    about["meaning"] = MEANING[ACCURACY]
    if labels is None or (hasattr(labels, "__len__") and not len(labels)):
        advice = "Give the true labels of these rows."
        return Finding(
            verdict="not run", claim="The accuracies of the models were not compared.", advice=advice, **about
        )
    true = true_labels(case.model, labels, len(case), case.prediction)
    own = accuracy_terms(case, true)
    retrained, shifted = (
        [accuracy_terms(with_model(case, model), true) for model in models] for models in (again, others)
    )
    each = np.mean(shifted, axis=0) - own
    gap = float(each.mean())
    what = "R²" if case.model.gives == "values" else "accuracy"
    unequal = abs(gap) > ACCURACY_TOLERANCE
    conclusion = "unequal, so explanations may differ for that reason alone" if unequal else "equal"
    return Finding(
        verdict="informative",
        claim=f"The {what} is {own.mean():.3f} before and {own.mean() + gap:.3f} after the shift: {conclusion}.",
        estimate=gap,
        interval=clustered_student_interval(each, clusters, level),
        null=0.0,
        advice="Compare explanations of equally accurate models: train the worse one longer, or on more rows.",
        evidence={
            f"{what} before": float(own.mean()),
            f"{what} of retrainings": [float(one.mean()) for one in retrained],
            f"{what} after": [float(one.mean()) for one in shifted],
            "unequal": unequal,
        },
        **about,
    )


def _mean(values: Floats) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
