# SPDX-License-Identifier: Apache-2.0
"""Square attack: a black-box attack by random search."""

from typing import Any

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import attacker
from assay.engine.search.attack_run import begin, finish, least_cost
from assay.engine.search.ball import Ball
from assay.engine.search.random_squares import random_squares
from assay.engine.search.threat import Labels


@attacker(
    source="andriushchenko2020",
    needs={"classes", "numbers", "complete"},
    cost=per_row(*least_cost(lambda o: 0, ends=lambda o: o.queries + 1)),
)
def square(
    case: Case,
    ball: Ball,
    *,
    queries: int = 1000,
    window: float = 0.8,
    labels: "Labels | None" = None,
    target_label: "Labels | None" = None,
) -> dict[str, Any]:
    """The smallest margin of the decision that a random search finds in the ball; below 0 the attack succeeded.

    It needs outputs only, no gradient, and so attacks trees, pipelines and models with masked gradients too. Each query
    changes a square window of the perturbation (of a table: a random subset of columns) and keeps what lowers the
    margin. ``window`` is the share of the elements in the first window, which is halved as queries go on. For linf and
    l2. Of tables half of the proposals lie inside the ball, since trees need not give way at its corners.

    An upper bound on the smallest margin in the ball: a failed attack is no proof of robustness.

    torchattacks and AutoAttack stop a row at its first success; here all queries are made, and the best is returned.
    """
    if not 0 < window <= 1:
        raise InputError(f"window={window}; a share of the elements, above 0 and at most 1, is needed.")
    run = begin(case, ball, labels, target_label, norms=("linf", "l2"))
    random_squares(run.threat, run.best, queries=queries, share=window)
    return finish(run, uses_gradient=False)
