# SPDX-License-Identifier: Apache-2.0
"""Basic iterative method (BIM): many small gradient steps from the row itself."""

from typing import Any, Literal

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import attacker
from assay.engine.search.attack_run import descend, least_cost
from assay.engine.search.ball import Ball
from assay.engine.search.threat import Labels


@attacker(source="kurakin2017", needs={"gradient", "classes", "numbers"}, cost=per_row(*least_cost(lambda o: o.steps)))
def bim(
    case: Case,
    ball: Ball,
    *,
    steps: int = 10,
    step: float = 0.2,
    loss: Literal["margin", "cross_entropy", "dlr"] = "cross_entropy",
    labels: "Labels | None" = None,
    target_label: "Labels | None" = None,
) -> dict[str, Any]:
    """The smallest margin of the decision that small gradient steps from the row find; below 0 the attack succeeded.

    x ← project(x + step · ε · sign(∇ cross-entropy)), ``steps`` times, without random start: PGD with one start and
    this loss. ``step`` is a share of the radius. It attacks the predicted class, or that of ``labels`` (the true
    classes), or moves the rows to ``target_label``. An upper bound on the smallest margin in the ball.

    Other implementations return the last iterate, not the best.
    """
    return descend(case, ball, loss, labels, target_label, steps=steps, step=step)
