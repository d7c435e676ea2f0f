# SPDX-License-Identifier: Apache-2.0
"""Fast gradient sign method (FGSM): one gradient step of full size."""

from typing import Any, Literal

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import attacker
from assay.engine.search.attack_run import descend, least_cost
from assay.engine.search.ball import Ball
from assay.engine.search.threat import Labels


@attacker(source="goodfellow2015", needs={"gradient", "classes", "numbers"}, cost=per_row(*least_cost(lambda o: 1)))
def fgsm(
    case: Case,
    ball: Ball,
    *,
    loss: Literal["margin", "cross_entropy", "dlr"] = "cross_entropy",
    labels: "Labels | None" = None,
    target_label: "Labels | None" = None,
) -> dict[str, Any]:
    """The margin of the decision after one gradient step as long as the ball allows; below 0 the attack succeeded.

    x + ε · sign(∇ loss) for linf, x + ε · ∇ / ‖∇‖₂ for l2, one element for l1, within the bounds. It attacks the
    predicted class, or that of ``labels`` (the true classes), or moves the rows to ``target_label``. A row where the
    step raises the margin stays where it was. A weak attack: it shows that a model is fragile, never that it is robust.

    Other implementations return the step also where the margin rises, and some use the sum of losses over a batch.
    """
    return descend(case, ball, loss, labels, target_label, steps=1, step=1.0)
