# SPDX-License-Identifier: Apache-2.0
"""DeepFool: a small perturbation that reaches the nearest linearised decision boundary."""

from typing import Any

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.cost import Given
from assay.engine.declare import attacker
from assay.engine.search.attack_run import begin, candidate_count, finish_nearest, row_cost
from assay.engine.search.ball import Ball
from assay.engine.search.minimum_norm import NearestPoints, linearised_steps
from assay.engine.search.threat import Labels
from assay.nouns.catalogue import Cost


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """A pass with gradient for each candidate a step, one pass at the end."""
    count = candidate_count(case, o.candidates, o.target_label is not None)
    return row_cost(case, gradients=o.steps * count, ends=1)


@attacker(source="moosavidezfooli2016", needs={"gradient", "classes", "numbers"}, cost=_cost)
def deepfool(
    case: Case,
    ball: Ball,
    *,
    steps: int = 20,
    overshoot: float = 0.02,
    candidates: int = 9,
    labels: "Labels | None" = None,
    target_label: "Labels | None" = None,
) -> dict[str, Any]:
    """The margin of the decision at the nearest point found in another class, if the ball contains it; below 0 success.

    Each step goes to the nearest of the linearised boundaries with the ``candidates`` most likely other classes;
    the whole perturbation is lengthened by ``overshoot``. ``extra["minimal_distance"]`` (row,) is the length of the
    smallest perturbation found, also beyond the radius, in the ball's norm; ∞ where none was found. For linf, l2 and
    l1. An upper bound on the distance to the decision boundary.

    torchattacks stops at the boundary, where its success is a matter of rounding; foolbox clips to the bounds only at
    the end of each step as here.
    """
    if overshoot < 0:
        raise InputError(f"overshoot={overshoot}; at least 0 is needed.")
    run = begin(case, ball, labels, target_label, norms=("linf", "l2", "l1"))
    nearest = NearestPoints.of(run.threat.x)
    count = candidate_count(case, candidates, run.threat.target is not None)
    linearised_steps(run.threat, nearest, steps=steps, overshoot=overshoot, candidates=count)
    return finish_nearest(run, nearest)
