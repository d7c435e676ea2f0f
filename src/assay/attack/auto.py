# SPDX-License-Identifier: Apache-2.0
"""An ensemble of attacks: each goes on where those before it failed, and the worst case of a row counts."""

from typing import Any

from assay.cases.case import Case
from assay.engine.cost import Given
from assay.engine.declare import attacker
from assay.engine.search.attack_run import begin, finish
from assay.engine.search.ball import Ball
from assay.engine.search.ensemble import ensemble_cost, run_stages
from assay.engine.search.threat import Labels
from assay.nouns.catalogue import Cost


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """All stages on all rows: the most it can be, since rows that were changed are not attacked again."""
    forwards, backwards = ensemble_cost(case, o)
    return Cost(forwards, backwards) * (len(case) * case.model.passes_per_row)


@attacker(source="croce2020", needs={"classes", "numbers", "complete"}, cost=_cost, has_exact_cost=False)
def auto(
    case: Case,
    ball: Ball,
    *,
    steps: int = 50,
    targets: int = 9,
    queries: int = 500,
    labels: "Labels | None" = None,
    target_label: "Labels | None" = None,
) -> dict[str, Any]:
    """The smallest margin of the decision that an ensemble of attacks finds in the ball; below 0 one of them succeeded.

    In turn, each on the rows that no attack has changed: short PGD with margin, cross-entropy and DLR; PGD on the
    margin; Auto-PGD with cross-entropy; Auto-PGD at each of the ``targets`` most likely other classes; FMN, which takes
    the place of FAB; Square with ``queries``. ``steps`` are those of each gradient attack. The row's point of smallest
    margin counts. It attacks the predicted class, or that of ``labels`` (the true classes), or moves the rows to
    ``target_label``. Models without gradient get Square alone; stages that a norm does not allow are left out; a note
    says so. ``validity["stages"]`` lists the rows that no attack has changed after each stage.

    An upper bound on the smallest margin in the ball: a failed attack is no proof of robustness. The cost depends on
    how many rows withstand the first attacks; the planned cost is the most it can be.

    AutoAttack (Croce and Hein 2020) runs Auto-PGD with cross-entropy and targeted DLR, FAB and Square with 100 steps
    and 5,000 queries, and needs four classes.
    """
    run = begin(case, ball, labels, target_label, norms=("linf", "l2", "l1", "l0"))
    more, notes = run_stages(run, steps=steps, targets=targets, queries=queries)
    return finish(run, notes=notes, more=more, uses_gradient=case.model.has_gradient)
