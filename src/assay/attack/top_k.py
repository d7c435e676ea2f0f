# SPDX-License-Identifier: Apache-2.0
"""Attack that changes an explanation's top features at an unchanged prediction."""

from __future__ import annotations

from typing import Any

from assay.cases.case import Case
from assay.engine.attributions.map_objectives import top_objective
from assay.engine.declare import attacker
from assay.engine.search.ball import Ball
from assay.engine.search.explanation_attack import begin_attack, cost_by_gradient, require_differentiable
from assay.nouns.catalogue import Check
from assay.nouns.results.result import Explanation


@attacker(
    source="ghorbani2019",
    needs={"gradient", "classes", "numbers"},
    cost=cost_by_gradient,
    checks=(
        Check(
            "ATK401",
            "Can a small perturbation of the input replace the top features at an unchanged prediction?",
            "Do not use it where an adversary chooses the input; smoothing (repair.smoothing) makes it more robust.",
            0.5,
            "at least",
            claim="{estimate:.0%} of the top features remain after the attack, at an unchanged prediction",
            reads="after",
            bounds=(0.0, 1.0),
            severe=0.1,
        ),
    ),
)
def top_k(
    explanation: Explanation,
    case: Case,
    ball: Ball,
    *,
    k: float = 0.1,
    steps: int = 50,
    step: float = 0.1,
    sharpness: float = 20.0,
) -> dict[str, Any]:
    """Top-k overlap: share of an explanation's top features that stay on top after a small adversarial perturbation.

    1: the same k features are on top; 0: none of them. The top features are the ⌈k · n⌉ with the largest |value|. The
    search lowers their share of Σ|value|, following second derivatives of the net with softplus (``sharpness`` is
    its β) for ReLU; iterates are evaluated on the original net, and only those with the same predicted class count.
    Where none is better the row stays. ``step`` is a share of the radius. ``random`` is the overlap after one
    random perturbation at the ball's edge; success means less overlap than that.

    ``extra`` has the overlap and Spearman's correlation of |value| with the explanation of the rows: after the attack,
    after the random perturbation (``random_…``), and of the same rows explained with another seed (``reseeded_…``),
    which only explainers that sample change. ``validity`` has their means with 95 % limits.

    An upper bound on the overlap that an attacker can reach: a failed attack proves nothing.

    Ghorbani's code differs: it sums saliency over colour channels; here the case's features decide.
    """
    require_differentiable("top_k", explanation, case)
    attack = begin_attack(explanation, case, ball, lambda: top_objective(explanation, k), k)
    return attack.by_gradient(steps=steps, step=step, sharpness=sharpness)
