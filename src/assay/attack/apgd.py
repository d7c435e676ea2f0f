# SPDX-License-Identifier: Apache-2.0
"""Auto-PGD: projected gradient descent that chooses its step sizes."""

from typing import Any, Literal

from assay.cases.case import Case
from assay.engine.cost import Given, per_row
from assay.engine.declare import attacker
from assay.engine.search.attack_run import aims_of, begin, finish, least_cost
from assay.engine.search.ball import Ball
from assay.engine.search.first_order import check_steps, scheduled_ascent
from assay.engine.search.threat import Labels


def _gradients(o: Given) -> int:
    """Passes with gradient of a row."""
    return int(o.restarts * max(1, o.targets) * (o.steps + 1))


@attacker(
    source="croce2020",
    needs={"gradient", "classes", "numbers"},
    cost=per_row(*least_cost(_gradients, ends=lambda o: 0)),
)
def apgd(
    case: Case,
    ball: Ball,
    *,
    steps: int = 100,
    loss: Literal["margin", "cross_entropy", "dlr"] = "cross_entropy",
    restarts: int = 1,
    targets: int = 0,
    labels: "Labels | None" = None,
    target_label: "Labels | None" = None,
) -> dict[str, Any]:
    """The smallest margin of the decision that Auto-PGD finds in the ball; below 0 the attack succeeded.

    Steps with momentum 0.75 whose size starts at twice the radius and is halved at checkpoints where the loss stops
    rising; the search then goes on from its best point. Starts are random points of the ball. With ``targets`` each
    start is repeated for so many of the most likely other classes, with the targeted loss, and success is any wrong
    class. dlr needs three classes, targeted four; otherwise a note says that the margin was used. For linf and l2.

    An upper bound on the smallest margin in the ball: a failed attack is no proof of robustness.

    torchattacks and AutoAttack return the point of highest loss, here the point of smallest margin is returned.
    """
    check_steps(restarts=restarts)
    run = begin(case, ball, labels, target_label, norms=("linf", "l2"))
    threat, best = run.threat, run.best
    aims = aims_of(threat, targets)
    chosen, notes = threat.usable(loss, aimed=aims[0] is not None or threat.target is not None)
    for number in range(restarts):
        start = ball.draw(case.rows, case.seed.child("apgd", number))
        for aim in aims:
            scheduled_ascent(threat, chosen, best, start=start, steps=steps, aim=aim)
    return finish(run, restarts=restarts, notes=notes)
