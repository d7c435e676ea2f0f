# SPDX-License-Identifier: Apache-2.0
"""Attack that gives an explanation the form of a chosen map at an unchanged prediction."""

from __future__ import annotations

from typing import Any

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.attributions.map_objectives import target_objective
from assay.engine.declare import attacker
from assay.engine.search.ball import Ball
from assay.engine.search.explanation_attack import begin_attack, cost_by_gradient, require_differentiable
from assay.nouns.results.result import Explanation


@attacker(source="dombrowski2019", needs={"gradient", "classes", "numbers"}, cost=cost_by_gradient)
def target_map(
    explanation: Explanation,
    case: Case,
    ball: Ball,
    *,
    toward: Any = None,
    k: float = 0.1,
    steps: int = 50,
    step: float = 0.1,
    sharpness: float = 20.0,
    output_weight: float = 1.0,
) -> dict[str, Any]:
    """Squared distance of an explanation from a target map that remains after a small adversarial perturbation.

    Maps are normalised, |value| / Σ|value|, so that distances lie in 0 … 2; 0: the target is reached. ``toward`` is an
    explanation of as many rows, or values (row, part); by default the map of the next row. The search lowers
    ‖h(x′) − h*‖² / ‖h(x) − h*‖² + ``output_weight`` · ‖p(x′) − p(x)‖², p the probabilities of the classes, on the
    softplus surrogate; the rest is as in ``attack.top_k``. Success means a smaller distance than after the random
    perturbation.

    An upper bound on the distance that an attacker can reach: a failed attack proves nothing.

    Dombrowski's code differs: it uses Adam, raises β during the search, and bounds no norm.
    """
    if output_weight < 0:
        raise InputError(f"output_weight={output_weight}; a number of at least 0 is needed.")
    require_differentiable("target_map", explanation, case)
    attack = begin_attack(explanation, case, ball, lambda: target_objective(explanation, toward), k)
    return attack.by_gradient(steps=steps, step=step, sharpness=sharpness, output_weight=output_weight)
