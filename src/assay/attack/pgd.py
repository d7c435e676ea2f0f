# SPDX-License-Identifier: Apache-2.0
"""Projected gradient descent (PGD): an adversarial attack on the predicted class."""

from typing import Any, Literal

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import attacker
from assay.engine.search.attack_run import descend, least_cost
from assay.engine.search.ball import Ball
from assay.engine.search.threat import Labels
from assay.nouns.catalogue import Check


@attacker(
    source="madry2018",
    needs={"gradient", "classes", "numbers"},
    cost=per_row(*least_cost(lambda o: o.restarts * o.steps)),
    checks=(
        Check(
            "ATK101",
            "Can a small change of the input, found with the gradient, change the decision?",
            "Do not use it where an adversary chooses the input; train on attacked rows.",
            claim="{estimate:.0%} of the rows get another class by a change within the ball",
        ),
    ),
)
def pgd(
    case: Case,
    ball: Ball,
    *,
    steps: int = 40,
    step: float = 0.1,
    restarts: int = 1,
    loss: Literal["margin", "cross_entropy", "dlr"] = "margin",
    momentum: float = 0.0,
    labels: "Labels | None" = None,
    target_label: "Labels | None" = None,
) -> dict[str, Any]:
    """The smallest margin of the decision that projected gradient descent finds in the ball; below 0 it succeeded.

    Steepest descent on the margin, in units of the model's scores (of its probabilities, if it gives those). The margin
    does not saturate where the model is confident, as cross-entropy does. It attacks the predicted class whatever the
    case's target, or that of ``labels`` (the true classes), or moves the rows to ``target_label``. The first start is
    the row, further ``restarts`` are drawn in the ball; ``step`` is a share of the radius; ``momentum`` is the weight
    of earlier directions (MI-FGSM). ``random`` is the smallest margin among as many random perturbations of full
    radius. dlr needs three classes, targeted four; otherwise a note says that the margin was used. For linf, l2 and l1.

    The result is an upper bound on the smallest margin in the ball: a failed attack is no proof of robustness.
    ``validity`` and notes name what speaks against it, such as rows whose gradient is zero at every step.

    foolbox's and torchattacks' PGD differ: they maximise the cross-entropy and return the last iterate, not the best.
    """
    return descend(case, ball, loss, labels, target_label, steps=steps, step=step, momentum=momentum, restarts=restarts)
