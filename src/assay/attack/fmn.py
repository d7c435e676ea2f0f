# SPDX-License-Identifier: Apache-2.0
"""Fast minimum-norm attack (FMN): the smallest perturbation that changes the prediction."""

from typing import Any

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import attacker
from assay.engine.search.attack_run import begin, finish_nearest, least_cost
from assay.engine.search.ball import Ball
from assay.engine.search.minimum_norm import BISECTIONS, NearestPoints, bisect_towards_rows, fast_minimum_norm
from assay.engine.search.threat import Labels


@attacker(
    source="pintor2021",
    needs={"gradient", "classes", "numbers"},
    cost=per_row(*least_cost(lambda o: o.steps, ends=lambda o: BISECTIONS)),
)
def fmn(
    case: Case,
    ball: Ball,
    *,
    steps: int = 100,
    step: float = 1.0,
    labels: "Labels | None" = None,
    target_label: "Labels | None" = None,
) -> dict[str, Any]:
    """The margin of the decision at the nearest point found in another class, if the ball contains it; below 0 success.

    ``extra["minimal_distance"]`` (row,) is the length of the smallest perturbation found, also beyond the radius, in
    the ball's norm (linf, l2, l1, or l0: the number of elements changed); ∞ where none was found. Gradient steps on the
    margin, projected onto a ball that shrinks while the attack succeeds and grows while it fails. ``step`` is the first
    step's length as a share of the longest move in the ball. At the end the way to each row is bisected.

    An upper bound on the distance to the decision boundary.

    The authors' code does not bisect; foolbox takes the first step length in absolute units.
    """
    run = begin(case, ball, labels, target_label, norms=("linf", "l2", "l1", "l0"))
    nearest = NearestPoints.of(run.threat.x)
    fast_minimum_norm(run.threat, nearest, steps=steps, step=step, start=run.threat.x)
    bisect_towards_rows(run.threat, nearest)
    return finish_nearest(run, nearest)
