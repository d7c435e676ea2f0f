# SPDX-License-Identifier: Apache-2.0
"""Membership inference with shadow models: a likelihood ratio for each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.samples.correlation import spearman_limits
from assay.basics.stats import Basis, Interval, spearman
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.privacy.attack_rates import (
    LEAST_ALARMS,
    AttackRates,
    area_above,
    area_without_effect,
    least_rate,
    rates_at,
    roc_points,
)
from assay.engine.privacy.likelihood_ratio import (
    gaussian_ratio,
    gaussian_tail,
    student_ratio,
    student_tail,
    true_probability,
)
from assay.engine.privacy.relative_membership import best_offline_weight, cross_fitted_scores, probability_ratio
from assay.engine.privacy.shadow_models import ShadowEnsemble, shadow_ensemble
from assay.nouns.catalogue import Check, Cost
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.finding import MAX_ROWS, Finding

SHADOWS = 32
"""Default number of shadow models."""

MANY_SHADOWS = 64
"""From so many shadow models on, each row's own variance is used as it is (LiRA); below, Student's t."""

MAX_RATIO = float(np.round(np.e, 2))
"""Default threshold of the ratio of the rates: e¹, the most that ε = 1 differential privacy allows."""

PRIORS = (0.01, 0.1)
"""Shares of members among candidates for which the precision is reported."""

_REMEDY = "Train with differential privacy, or regularise more strongly (repair.refit with the option strength)."

LOW_RATE = Check(
    "PRV104",
    "Does a likelihood-ratio attack identify training rows at a low false-positive rate?",
    _REMEDY,
    MAX_RATIO,
    "at most",
    severe=9.0,
    assumes=("DAT103",),
    origin="ε = 1 differential privacy allows TPR ≤ e · FPR",
)
AREA = Check(
    "PRV105",
    "How well does a likelihood-ratio attack rank training rows above unseen rows?",
    _REMEDY,
    assumes=("DAT103",),
)
STABILITY = Check(
    "PRV106",
    "Are the same training rows most at risk after retraining with another seed?",
    "Judge the risk of a row from several retrained models.",
)
CHECKS = (LOW_RATE, AREA, STABILITY)

MEANING = {
    LOW_RATE: "How many times its false-positive rate the true-positive rate of the attack is, at the lowest "
    "false-positive rate that the rows support: 1 without a leak. A model trained with ε = 1 differential privacy "
    "stays at or below e = 2.72, whatever the attack; 9 makes half of the rows called members correct where one "
    "candidate in ten is a member. Misleading if the two sets are not a random split of one population. Shadow models "
    "are trained on fewer rows than the model where fewer rows are unseen than trained on, which weakens the attack: a "
    "small ratio does not prove privacy.",
    AREA: "Area under the ROC curve: the probability that a training row gets a higher score than an unseen row; 0.5 "
    "without a leak, 1 for a perfect attack. An average over all rows: a model can leak some rows with certainty while "
    "the area stays near 0.5.",
    STABILITY: "Spearman's rank correlation, over training rows, of the attack's scores on this model and on a model "
    "retrained with another seed: 1 if the same rows are at risk, 0 if the seed alone decides. It is 1 where the "
    "recipe ignores its seed, which says nothing about other training rows. The ranking is usually steadier than the "
    "set of rows called members.",
}
ADVICE = {
    "pass": "No action needed on this evidence; a stronger attack may exist.",
    "fail": "Train with differential privacy or stronger regularisation, and measure again; the rows most at risk are "
    "listed.",
    "undecided": "Give more unseen rows, or more shadow models; the interval contains the threshold.",
}


def _audit_cost(inputs: AuditInputs) -> Cost:
    """All rows for the model, for each shadow model and for the retrained model."""
    assert inputs.recipe is not None
    shadows = inputs.options.get("shadow_membership", {}).get("shadows", SHADOWS)
    rows = len(inputs.recipe.y) + len(inputs.case)
    return Cost(rows * (2 + shadows)) * inputs.model.passes_per_row


@diagnostic(
    source="carlini2022",
    needs={"labels", "recipe", "classes"},
    optional={"train"},
    checks=CHECKS,
    audit_cost=_audit_cost,
    has_exact_cost=False,
)
def shadow_membership(
    case: Case,
    labels: Any,
    recipe: Recipe,
    *,
    shadows: int = SHADOWS,
    rate: float = 0.01,
    gamma: float = 1.0,
    threshold: float = MAX_RATIO,
    level: float = 0.95,
) -> list[Finding]:
    """Membership inference with shadow models: whether a likelihood-ratio attack identifies training rows.

    The case holds rows that the model was not trained on, with their true ``labels``; ``recipe`` trains the model, and
    its x and y are the training rows. ``shadows`` models are trained by it, each on a random half of both sets, so that
    every row is in half of them (a recipe with ``fit_many`` trains them together). The score of a row is log p(φ |
    trained on it) − log p(φ | not), where φ = log p_y − log(1 − p_y) is the model's scaled confidence in the true class
    and the densities are fitted to the shadow models' φ at that row: Gaussians from 64 shadow models on (LiRA), Student
    predictives with a prior on the variance below. Rows that occur on both sides count as training rows.

    PRV104: TPR / FPR, the share of training rows above the threshold over that of unseen rows, at an FPR of at most
    ``rate``, or 10/m where m unseen rows support no smaller one; interval by Miettinen and Nurminen, the rates by
    Clopper and Pearson. ``null_interval`` is where it lies if the sets are exchangeable. Under 20 unseen rows it is not
    run. ``rows`` are positions of the recipe's rows, the most exposed first. The evidence compares attacks, for
    information: the loss, LiRA and Student's with models trained on the row or without, and RMIA (``gamma``, and a
    tuned on shadow models).

    PRV105: the area under the ROC curve of the same scores. PRV106: Spearman's correlation of the training rows' scores
    on this model and on one retrained with another seed.

    It trains ``shadows`` + 1 models. LiRA's authors use 256 shadow models and augmented queries, which find more.
    """
    if not threshold > 0:
        raise InputError(f"threshold={threshold}; a ratio of rates above 0 is needed.")
    if not gamma > 0 or not 0 < rate < 1:
        raise InputError(f"gamma={gamma}, rate={rate}; gamma is above 0, and a rate lies between 0 and 1.")
    ensemble = shadow_ensemble(case, labels, recipe, models=shadows, retrainings=1)
    outside = len(ensemble.own) - ensemble.inside
    if outside < 2 * LEAST_ALARMS:
        return [_not_run(check, case, ensemble, rate) for check in CHECKS]
    attack = _Attack(case, ensemble, max(rate, least_rate(outside)), level)
    scores = attack.scores(ensemble.own)
    tables = {**scores, **_relative_scores(ensemble, gamma, case)}
    return [_at_low_rate(attack, tables, rate, threshold), _area(attack, scores), _stability(attack, scores)]


@dataclass(frozen=True, eq=False)
class _Attack:
    """The attack by likelihood ratios at a false-positive rate, and the rows that it is made on."""

    case: Case
    ensemble: ShadowEnsemble
    rate: float
    level: float

    @property
    def chosen(self) -> str:
        """The score that the verdict reads, chosen before any score is computed."""
        return "LiRA" if len(self.ensemble.shadows) >= MANY_SHADOWS else "Student's t"

    def scores(self, own: Floats) -> dict[str, Floats]:
        """Scores (row,) of a model with these φ by name; higher for rows that look like training rows."""
        shadows, members = self.ensemble.shadows, self.ensemble.members
        pooled = len(shadows) < MANY_SHADOWS
        return {
            "loss": own,
            "LiRA": gaussian_ratio(own, shadows, members, pooled=pooled),
            "LiRA, offline": gaussian_tail(own, shadows, members, pooled=pooled),
            "Student's t": student_ratio(own, shadows, members),
            "Student's t, offline": student_tail(own, shadows, members),
        }

    def split(self, scores: Floats) -> tuple[Floats, Floats]:
        """Scores of training rows and of the others."""
        return scores[: self.ensemble.inside], scores[self.ensemble.inside :]

    def rates(self, scores: Floats) -> AttackRates:
        return rates_at(*self.split(scores), self.rate)

    def called(self, scores: Floats) -> list[int]:
        """Training rows that are called members, the highest score first."""
        inside, threshold = self.split(scores)[0], self.rates(scores).threshold
        return [int(row) for row in np.argsort(-inside, kind="stable") if inside[row] > threshold]


def _relative_scores(ensemble: ShadowEnsemble, gamma: float, case: Case) -> dict[str, Floats]:
    """Scores (row,) of RMIA with all shadow models, and with those that were not trained on the row."""
    own, shadows, members = true_probability(ensemble.own), true_probability(ensemble.shadows), ensemble.members
    fold = case.seed.child("population fold").generator().permutation(len(own)) % 2 == 1
    weight = best_offline_weight(shadows, members)
    ratios = {
        "RMIA": probability_ratio(own, shadows, members),
        f"RMIA, offline (a = {weight:g})": probability_ratio(own, shadows, members, weight),
    }
    return {name: cross_fitted_scores(ratio, ~ensemble.is_inside, fold, gamma) for name, ratio in ratios.items()}


def _at_low_rate(attack: _Attack, scores: dict[str, Floats], rate: float, threshold: float) -> Finding:
    chosen = scores[attack.chosen]
    found, called, level = attack.rates(chosen), attack.called(chosen), attack.level
    if not found.alarms:  # more unseen rows share the highest score than the rate allows
        return _undefined(attack)
    null, estimate = found.null_interval(level), found.true_rate / found.false_rate
    floor = f" (with {found.outside} unseen rows, {rate:.1%} cannot be measured)" if attack.rate > rate else ""
    counts = {"hits": np.array([found.hits, found.alarms]), "trials": np.array([found.inside, found.outside])}
    return judged_finding(
        LOW_RATE,
        Basis("rate ratio", counts),
        level,
        threshold,
        ADVICE,
        claim=(
            f"A likelihood-ratio attack with {len(attack.ensemble.shadows)} shadow models identifies "
            f"{found.true_rate:.1%} of the training rows at a false-positive rate of {found.false_rate:.1%}{floor}: "
            f"{estimate:.3g} times as many as by chance."
        ),
        subject=attack.case.model.name,
        estimate=estimate,
        null=1.0,
        null_interval=Interval(null.low / found.false_rate, null.high / found.false_rate, level, null.method),
        n=found.inside + found.outside,
        meaning=MEANING[LOW_RATE],
        affected=found.true_rate,
        rows=tuple(str(row) for row in called[:MAX_ROWS]),
        rows_of="train",
        evidence={
            "requested rate": rate,
            **_evidence(attack, found),
            "classes at risk": _classes(attack, called),
            "attacks": {name: _line(attack, values) for name, values in scores.items()},
            "roc": roc_points(*attack.split(chosen)),
        },
    )


def _evidence(attack: _Attack, found: AttackRates) -> dict[str, Any]:
    true, false = found.limits(attack.level)
    return {
        "attack": attack.chosen,
        "shadow models": len(attack.ensemble.shadows),
        "rate used": attack.rate,
        "true positive rate": found.true_rate,
        "true positive rate low": true.low,
        "true positive rate high": true.high,
        "false positive rate": found.false_rate,
        "false positive rate low": false.low,
        "false positive rate high": false.high,
        **{f"precision at a prior of {prior:.0%}": found.precision(prior) for prior in PRIORS},
        "inside": found.inside,
        "outside": found.outside,
        "copies": attack.ensemble.copies,
    }


def _line(attack: _Attack, scores: Floats) -> dict[str, float]:
    """The rates of one attack with the limits of the true-positive rate, and the area under its ROC curve."""
    found = attack.rates(scores)
    true, _ = found.limits(attack.level)
    area, limits = area_above(*attack.split(scores), attack.level)
    return {
        "true positive rate": found.true_rate,
        "true positive rate low": true.low,
        "true positive rate high": true.high,
        "false positive rate": found.false_rate,
        "auc": area,
        "auc low": limits.low,
        "auc high": limits.high,
    }


def _classes(attack: _Attack, called: Sequence[int]) -> dict[str, str]:
    """By class, how many of its training rows are called members; classes without one are left out."""
    labels, names = attack.ensemble.labels[: attack.ensemble.inside], attack.case.model.classes
    chosen = labels[list(called)]
    return {
        (names[label] if names else str(label)): f"{(chosen == label).sum()} of {(labels == label).sum()}"
        for label in sorted(set(chosen.tolist()))
    }


def _area(attack: _Attack, scores: dict[str, Floats]) -> Finding:
    inside, outside = attack.split(scores[attack.chosen])
    area, limits = area_above(inside, outside, attack.level)
    return Finding(
        AREA.code,
        "informative",
        f"A likelihood-ratio attack ranks a training row above an unseen row with probability {area:.3f} "
        f"[{limits.low:.3f}, {limits.high:.3f}].",
        attack.case.model.name,
        estimate=area,
        interval=limits,
        null=0.5,
        null_interval=area_without_effect(len(inside), len(outside), attack.level),
        n=len(inside) + len(outside),
        meaning=MEANING[AREA],
        advice="An area whose interval lies above 0.5 is a leak on average; PRV104 says how sure the attack can be.",
        evidence={"attack": attack.chosen, "inside": len(inside), "outside": len(outside)},
    )


def _stability(attack: _Attack, scores: dict[str, Floats]) -> Finding:
    one, two = (values[attack.chosen] for values in (scores, attack.scores(attack.ensemble.again[0])))
    rows = attack.ensemble.inside
    correlation = float(spearman(one[:rows], two[:rows])[0])
    low, high = spearman_limits(correlation, rows, attack.level)
    called = set(attack.called(one)), set(attack.called(two))
    both, either = len(called[0] & called[1]), len(called[0] | called[1])
    shared = f"; of {either} rows called members on either, {both} are on both" if either else ""
    is_same = bool((attack.ensemble.again[0] == attack.ensemble.own).all())
    shared += " (the recipe trains the same model with any seed)" if is_same else ""
    return Finding(
        STABILITY.code,
        "informative",
        f"After retraining with another seed, the scores of training rows have rank correlation {correlation:.2f} "
        f"[{low:.2f}, {high:.2f}]{shared}.",
        attack.case.model.name,
        estimate=correlation,
        interval=Interval(low, high, attack.level, "fisher, bonett-wright"),
        null=0.0,
        n=rows,
        meaning=MEANING[STABILITY],
        advice="A low correlation means that the seed decides which rows are exposed: name no single rows.",
        evidence={
            "attack": attack.chosen,
            "called on this model": len(called[0]),
            "called on the retrained model": len(called[1]),
            "called on both": both,
            "same model with any seed": is_same,
        },
    )


def _not_run(check: Check, case: Case, ensemble: ShadowEnsemble, rate: float) -> Finding:
    rows = len(ensemble.own) - ensemble.inside
    return Finding(
        check.code,
        "not run",
        f"{rows} unseen rows are too few to measure a false-positive rate of {rate:.1%}; at least 20 are needed.",
        case.model.name,
        n=len(ensemble.own),
        meaning=MEANING[check],
        advice=f"Give at least {int(np.ceil(10 / rate))} unseen rows.",
    )


def _undefined(attack: _Attack) -> Finding:
    return Finding(
        LOW_RATE.code,
        "not applicable",
        "More unseen rows share the highest score than the false-positive rate allows, so that no row is called a "
        "member.",
        attack.case.model.name,
        n=len(attack.ensemble.own),
        meaning=MEANING[LOW_RATE],
        advice="Use a model that gives probabilities, or more shadow models.",
    )
