# SPDX-License-Identifier: Apache-2.0
"""What a repair that changes a model without training changes: its outputs, and how explanations withstand attacks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from assay.cases.case import Case
from assay.engine.search.ball import Ball
from assay.model.model import Model
from assay.nouns.catalogue import find
from assay.nouns.inputs.target import predicted_class, probabilities
from assay.nouns.results.result import AttackResult, Explanation, Note

Metrics = dict[str, float]

ATTACKED = "top-k overlap under attack"
RANDOM = "top-k overlap under random perturbations"

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
    found: list[Metrics] = []
    same = model.gives == case.model.gives
    explained = case if same else case.with_target("log_odds")  # a smoothed model has no logits
    for one in (case.model, model):
        changed = replace(explained, model=one)
        explanation: Explanation = find("explain", "saliency").call(changed)
        result: AttackResult = find("attack", "top_k").call(explanation, changed, ball, steps=steps)
        found.append({ATTACKED: float(result.after.mean()), RANDOM: float(result.random.mean())})
    return found[0], found[1]


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
