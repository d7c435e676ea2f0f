# SPDX-License-Identifier: Apache-2.0
"""Carlini and Wagner's attack (C&W ℓ2): the smallest Euclidean perturbation, by penalised optimisation."""

from typing import Any

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import attacker
from assay.engine.search.attack_run import begin, finish_nearest, least_cost
from assay.engine.search.ball import Ball
from assay.engine.search.minimum_norm import NearestPoints
from assay.engine.search.penalised import penalised_descent
from assay.engine.search.threat import Labels


@attacker(
    source="carlini2017",
    needs={"gradient", "classes", "numbers"},
    cost=per_row(*least_cost(lambda o: o.searches * o.steps, ends=lambda o: o.searches)),
)
def carlini_wagner(
    case: Case,
    ball: Ball,
    *,
    steps: int = 100,
    searches: int = 6,
    constant: float = 0.1,
    learning_rate: float = 0.01,
    confidence_margin: float = 0.0,
    labels: "Labels | None" = None,
    target_label: "Labels | None" = None,
) -> dict[str, Any]:
    """The margin of the decision at the nearest point found in another class, if the ball contains it; below 0 success.

    Adam minimises ‖δ‖² + c · max(margin + ``confidence_margin``, 0) in the space of tanh, where every point lies
    within the bounds; δ is divided by the width of the bounds. A binary search of ``searches`` steps finds c
    for each row, from ``constant`` on. Without finite bounds δ itself is optimised, divided by five radii.
    ``extra["minimal_distance"]`` (row,) is the length of the smallest perturbation found, also beyond the radius; ∞
    where none was found. For l2. An upper bound on the distance to the decision boundary.

    The authors take 10,000 steps; torchattacks' CW has one c and no binary search.
    """
    if not (constant > 0 and learning_rate > 0 and confidence_margin >= 0):
        raise InputError(
            f"constant={constant}, learning_rate={learning_rate}, confidence_margin={confidence_margin}; needed are "
            f"two numbers above 0 and one of at least 0."
        )
    run = begin(case, ball, labels, target_label, norms=("l2",))
    nearest = NearestPoints.of(run.threat.x)
    penalised_descent(
        run.threat,
        nearest,
        steps=steps,
        searches=searches,
        constant=constant,
        learning_rate=learning_rate,
        confidence_margin=confidence_margin,
    )
    return finish_nearest(run, nearest)
