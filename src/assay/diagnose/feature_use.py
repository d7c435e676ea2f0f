# SPDX-License-Identifier: Apache-2.0
"""Whether the use that a model makes of features identifies its training rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs
from assay.engine.declare import diagnostic
from assay.engine.privacy.attack_rates import area_above, area_without_effect, least_rate, rates_at
from assay.engine.privacy.explanation_leak import area_of, auc_gain
from assay.engine.privacy.feature_use import FeatureUse, bayes_score, flat
from assay.engine.privacy.training_pool import TrainingPool, training_pool
from assay.engine.retraining.label_randomisation import with_model
from assay.engine.retraining.labelled_rows import losses, read_like
from assay.engine.retraining.model_retraining import comparable_model
from assay.nouns.catalogue import Check, Cost
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.finding import Finding

PROXIES = 3
"""Default number of proxies on each half of the unseen rows."""

TOP = 5
"""Features that are named."""

USE = Check(
    "PRV108",
    "Does the use that the model makes of features identify its training rows?",
    "Regularise more strongly, or leave out the features named that are not meant to be used.",
    assumes=("DAT103",),
)

MEANING = (
    "Area under the ROC curve of an attack with access to the model's gradients, which compares how the model uses "
    "each feature for a class with how models trained on unseen rows use it: 0.5 without a leak, 1 for a perfect "
    "attack. The features named are used most differently: what the model has learnt of them holds for its training "
    "rows alone. Misleading where the proxies see fewer rows than the model: then the difference is one of sample size."
)


def _audit_cost(inputs: AuditInputs) -> Cost:
    proxies = int(inputs.options.get("feature_use", {}).get("proxies", PROXIES))
    rows, train = len(inputs.case), len(inputs.recipe.y) if inputs.recipe is not None else 0
    return Cost((2 * proxies + 2) * 3 * rows + train, (2 * proxies + 2) * rows) * inputs.model.passes_per_row


@diagnostic(
    source="leino2020",
    needs={"labels", "recipe", "classes", "gradient", "numbers"},
    optional={"train"},
    checks=(USE,),
    audit_cost=_audit_cost,
    has_exact_cost=False,
)
def feature_use(
    case: Case, labels: Any, recipe: Recipe, *, proxies: int = PROXIES, rate: float = 0.01, level: float = 0.95
) -> list[Finding]:
    """Membership inference from the use of features: whether the model uses features as only its training rows suggest.

    The case holds rows that the model was not trained on, with their true ``labels``; ``recipe`` trains the model on
    its x and y. PRV108: the area under the ROC curve of the score (w_y − w̃_y)ᵀ x + b_y − b̃_y. There w_y is the mean
    gradient of the log odds of class y over the unseen rows of that class, and w̃_y that of ``proxies`` models which the
    recipe trains on one half of the unseen rows. Rows of this half are scored by the proxies of the other half,
    training rows by either. For a linear model of two classes it is the closed form. The evidence has the true-positive
    rate at a low false-positive rate, the area of the loss attack on the same rows with the paired gain, and the
    features whose use differs most (|w − w̃| times their standard deviation, summed over classes).

    It is not run where a half has fewer rows than the model was trained on: the difference would be one of sample size.
    """
    if proxies < 1 or not 0 < rate < 1:
        raise InputError(f"proxies={proxies}, rate={rate}; at least one proxy and a rate between 0 and 1 are needed.")
    pool = training_pool(case, labels, recipe)
    outside = len(pool.labels) - pool.inside
    if outside < 2 * pool.inside or outside < 40:
        return [_not_run(case, pool.inside, outside)]
    seen = case.take(pool.outside)
    half = case.seed.child("proxy half").generator().permutation(outside) % 2 == 1
    count = int(pool.labels.max()) + 1
    own = FeatureUse.of(seen, pool.labels[pool.inside :], count)
    uses = [_proxy_use(seen, pool, half == side, proxies, count) for side in (False, True)]
    is_inside = np.arange(len(pool.labels)) < pool.inside
    either = case.seed.child("proxy of members").generator().permutation(pool.inside) % 2 == 1
    group = np.concatenate([either, ~half])  # unseen rows by the proxies that were not trained on them
    x = np.concatenate([flat(read_like(case, recipe.x)), flat(seen.rows.x)])
    scores = np.empty(len(x))
    for side in (False, True):
        which, use = group == side, uses[int(side)]
        scores[which] = bayes_score(own.weights, own.bias, use.weights, use.bias, x[which], pool.labels[which])
    outputs = np.concatenate([pool.inner_outputs, seen.prediction])
    loss = -losses(outputs, pool.labels, case.model)
    moved = np.abs(own.weights - FeatureUse.mean(uses).weights).sum(axis=0) * x.std(axis=0)
    return [_finding(case, scores, loss, is_inside, moved, rate, level)]


def _proxy_use(seen: Case, pool: TrainingPool, chosen: Masks, proxies: int, count: int) -> FeatureUse:
    """The mean use of features of proxies trained on some of the unseen rows, measured on all unseen rows."""
    rows, labels = pool.training(pool.inside + np.flatnonzero(chosen))
    uses = []
    for number in range(proxies):
        seed = seen.seed.child("proxy", number, int(chosen[0]))
        model = comparable_model(seen, pool.recipe.train(rows, labels, seed))
        uses.append(FeatureUse.of(with_model(seen, model), pool.labels[pool.inside :], count))
    return FeatureUse.mean(uses)


def _finding(
    case: Case, scores: Floats, loss: Floats, is_inside: Masks, moved: Floats, rate: float, level: float
) -> Finding:
    inside, outside = scores[is_inside], scores[~is_inside]
    area, interval = area_above(inside, outside, level)
    gain, limits = auc_gain(loss, scores, is_inside, level)
    found = rates_at(inside, outside, max(rate, least_rate(len(outside))))
    true, _ = found.limits(level)
    names = _names(case, moved)
    return Finding(
        USE.code,
        "informative",
        f"The use of features ranks a training row above an unseen row with probability {area:.3f} "
        f"[{interval.low:.3f}, {interval.high:.3f}]; used most differently: {', '.join(names)}.",
        case.model.name,
        estimate=area,
        interval=interval,
        null=0.5,
        null_interval=area_without_effect(len(inside), len(outside), level),
        n=len(scores),
        meaning=MEANING,
        advice="An interval above 0.5 is a leak; look at the features named before regularising.",
        evidence={
            "features used most differently": names,
            "true positive rate": found.true_rate,
            "true positive rate low": true.low,
            "true positive rate high": true.high,
            "false positive rate": found.false_rate,
            "auc of the loss": area_of(loss, is_inside),
            "gain over the loss": gain,
            "gain low": limits.low,
            "gain high": limits.high,
            "inside": len(inside),
            "outside": len(outside),
        },
    )


def _names(case: Case, moved: Floats) -> list[str]:
    """The features whose elements are used most differently, the most different first."""
    pooled = np.bincount(case.features.index.reshape(-1), moved, minlength=len(case.features))
    return [case.features.names[part] for part in np.argsort(-pooled, kind="stable")[:TOP]]


def _not_run(case: Case, inside: int, outside: int) -> Finding:
    return Finding(
        USE.code,
        "not run",
        f"{outside} unseen rows are too few for proxies of a model trained on {inside} rows: each half needs as many.",
        case.model.name,
        n=inside + outside,
        meaning=MEANING,
        advice=f"Give at least {max(2 * inside, 40)} unseen rows.",
    )
