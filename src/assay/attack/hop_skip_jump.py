# SPDX-License-Identifier: Apache-2.0
"""HopSkipJump: an attack that sees the decisions alone."""

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.changes.change_report import note_of
from assay.engine.cost import per_row
from assay.engine.declare import attacker
from assay.engine.search.attack_run import begin, finish_nearest, least_cost
from assay.engine.search.ball import Ball
from assay.engine.search.boundary_walk import HALVINGS, BoundaryWalk
from assay.engine.search.threat import Labels


@attacker(
    source="chen2020",
    needs={"classes", "numbers", "complete"},
    cost=per_row(*least_cost(lambda o: 0, ends=lambda o: o.queries)),
    has_exact_cost=False,
)
def hop_skip_jump(
    case: Case,
    ball: Ball,
    *,
    queries: int = 1000,
    labels: "Labels | None" = None,
    target_label: "Labels | None" = None,
) -> dict[str, Any]:
    """The margin at the nearest point found in another class, if the ball contains it; below 0 the attack succeeded.

    ``extra["minimal_distance"]`` (row,) is the length of the smallest perturbation found, also beyond the radius; ∞
    where none was found. Only the decided class of a point is read, never a score: what an attacker sees who can ask
    for decisions alone. The walk starts at a random point of another class (else at the nearest row of the case in
    another class; a note says so), and bisects towards the row. Each step estimates the normal of the boundary from
    the decisions at random points around, goes that way, and bisects again. No row asks more than ``queries``
    decisions: ``extra["queries"]``. For linf and l2.

    An upper bound on the distance to the decision boundary: a failed attack is no proof of robustness.

    The paper's distances of probes are d^(−1) of the distance to the row for d elements; here at most a tenth of it.
    """
    least = HALVINGS * 4
    if queries < least:
        raise InputError(f"queries={queries}; at least {least} are needed for a start and one step.")
    run = begin(case, ball, labels, target_label, norms=("linf", "l2"))
    walk = BoundaryWalk(run.threat, queries)
    nearest = walk.run()
    text = "no random point is in another class: the walk started at the nearest row of the case that is"
    found = finish_nearest(run, nearest, note_of(case, "started-at-rows", text, walk.from_rows), uses_gradient=False)
    more = {"queries": queries, "largest_queries": int(walk.queries.max(initial=0))}
    return {
        **found,
        "validity": {**found["validity"], **more},
        "extra": {**found["extra"], "queries": walk.queries.astype(np.float64)},
    }
