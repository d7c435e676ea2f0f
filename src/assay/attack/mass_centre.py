# SPDX-License-Identifier: Apache-2.0
"""Attack that moves the centre of mass of an explanation at an unchanged prediction."""

from __future__ import annotations

from typing import Any

from assay.cases.case import Case
from assay.engine.attributions.map_objectives import centre_objective
from assay.engine.declare import attacker
from assay.engine.search.ball import Ball
from assay.engine.search.explanation_attack import begin_attack, cost_by_gradient, require_differentiable
from assay.nouns.results.result import Explanation


@attacker(source="ghorbani2019", needs={"gradient", "classes", "numbers", "maps"}, cost=cost_by_gradient)
def mass_centre(
    explanation: Explanation,
    case: Case,
    ball: Ball,
    *,
    k: float = 0.1,
    steps: int = 50,
    step: float = 0.1,
    sharpness: float = 20.0,
) -> dict[str, Any]:
    """Shift of an explanation's centre of mass that a small adversarial perturbation causes, in steps of the grid.

    The centre is Σ|value| · position / Σ|value| over features, each at the mean position of its elements, without the
    channel axis: pixels of an image, positions of a signal. 0: the centre stays; a larger shift is a stronger attack.
    The search raises ‖C − C₀‖², whose gradient is 0 at the row itself, so it starts from a random point of the ball.
    The rest is as in ``attack.top_k``: softplus surrogate, evaluation on the original net, same predicted class;
    ``random`` is the shift after one random perturbation at the ball's edge; success means a larger shift than that.
    ``k`` is the share of features whose overlap ``extra`` reports.

    A lower bound on the shift that an attacker can reach: a failed attack proves nothing.
    """
    require_differentiable("mass_centre", explanation, case)
    attack = begin_attack(explanation, case, ball, lambda: centre_objective(explanation, case), k)
    start = ball.draw(case.rows, case.seed.child("start", 0))
    return attack.by_gradient(steps=steps, step=step, sharpness=sharpness, starts=(start,))
