# SPDX-License-Identifier: Apache-2.0
"""What a repair that changes a model without training changes: its outputs, and how explanations withstand attacks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from assay.cases.case import Case
from assay.engine.attributions.map_objectives import overlap_of_top, top_features
from assay.engine.search.ball import Ball
from assay.model.model import Model
from assay.nouns.catalogue import find
from assay.nouns.inputs.target import predicted_class, probabilities
from assay.nouns.results.result import AttackResult, Explanation, Note

Metrics = dict[str, float]

ATTACKED = "top-k overlap under attack"
RANDOM = "top-k overlap under random perturbations"
BETWEEN = "top-k overlap between rows"
"""Of each row with the next, without any attack: near 1 where the map is nearly the same whatever the input."""

NOT_TESTED = Note(
    "not-adaptively-tested",
    "not adaptively tested: give ball, and attack.top_k differentiates through the new model; a defence is worth what "
    "it withstands then",
)


def changes_of_model(case: Case, model: Model) -> tuple[Metrics, Metrics]:
    """Numbers of the case's rows before and after: agreement and confidence, or of a regression's values."""
    if case.model.gives in ("values", "units"):
        was, now = case.prediction, replace(case, model=model).prediction
        change = float(np.sqrt(((now - was) ** 2).mean()))
        return (
            {"mean value": float(was.mean()), "root mean square change": 0.0},
            {"mean value": float(now.mean()), "root mean square change": change},
        )
    before, after = case.prediction, replace(case, model=model).prediction
    rows, chosen = np.arange(len(case)), predicted_class(before, case.model.gives)
    confidences = [
        float(probabilities(outputs, gives)[rows, chosen].mean())
        for outputs, gives in ((before, case.model.gives), (after, model.gives))
    ]
    agreement = float((predicted_class(after, model.gives) == chosen).mean())
    return (
        {"agreement": 1.0, "mean confidence": confidences[0]},
        {"agreement": agreement, "mean confidence": confidences[1]},
    )


def overlaps_under_attack(case: Case, model: Model, ball: Ball | None, steps: int) -> tuple[Metrics, Metrics]:
    """The mean top-k overlap of saliency under ``attack.top_k``, of the model and of the new one; empty without ball.

    The attack on the new model's explanation differentiates through that model: it is adaptive. Both are also given
    after a random perturbation of the same size.
    """
    if ball is None:
        return {}, {}
    return overlap_under_attack(case, case.model, ball, steps, model), overlap_under_attack(case, model, ball, steps)


def overlap_under_attack(
    case: Case, model: Model, ball: Ball, steps: int, compared_with: Model | None = None
) -> Metrics:
    """The mean top-k overlap of saliency of ``model``: under ``attack.top_k``, at random perturbations, between rows.

    The log odds are explained where ``model`` and the one that it is ``compared_with`` (by default the case's) give
    different kinds of outputs.
    """
    other = case.model if compared_with is None else compared_with
    explained = case if model.gives == other.gives else case.with_target("log_odds")  # a smoothed model has no logits
    changed = replace(explained, model=model)
    explanation: Explanation = find("explain", "saliency").call(changed)
    result: AttackResult = find("attack", "top_k").call(explanation, changed, ball, steps=steps)
    found = {ATTACKED: float(result.after.mean()), RANDOM: float(result.random.mean())}
    return found if len(case) < 2 or case.features.per_row else found | {BETWEEN: _overlap_between_rows(explanation)}


def _overlap_between_rows(explanation: Explanation) -> float:
    share = find("attack", "top_k").options["k"].default
    return float(
        overlap_of_top(top_features(explanation.values, share), np.roll(explanation.values, 1, 0), share).mean()
    )


def repaired_fields(case: Case, model: Model, change: str, ball: Ball | None, steps: int) -> dict[str, Any]:
    """The fields of a ``Repair``: what changes on the rows of the case, and under an adaptive attack with a ball."""
    was, now = changes_of_model(case, model)
    under, then = overlaps_under_attack(case, model, ball, steps)
    return {
        "model": model,
        "change": change,
        "before": {**was, **under},
        "after": {**now, **then},
        "notes": () if ball is not None else (NOT_TESTED,),
    }
