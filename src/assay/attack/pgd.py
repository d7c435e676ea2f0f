# SPDX-License-Identifier: Apache-2.0
"""Projected gradient descent against a prediction."""

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import attacker
from assay.engine.search.ascent import ascend
from assay.engine.search.ball import Ball
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Note


@attacker(
    source="madry2018",
    needs={"gradient", "classes", "numbers"},
    # the margin at the rows, at the climb's ends and at random moves; a slope and a margin a step
    cost=per_row(lambda o: 4 + o.restarts * (2 * o.steps + 1), lambda o: o.restarts * o.steps),
)
def pgd(case: Case, ball: Ball, *, steps: int = 40, step: float = 0.1, restarts: int = 1) -> dict[str, Any]:
    """The smallest lead of the predicted class over its best rival found within the ball; below 0 the prediction moved.

    Steepest descent on the margin, in units of the model's scores (probabilities where it gives those): unlike
    cross-entropy it does not flatten when the model is sure of itself. The class attacked is the predicted one,
    whatever the case asks about. The first start is the row, further ``restarts`` are drawn in the ball; ``step``
    is a share of the radius. ``random`` is the smallest margin among as many random moves to the ball's edge.

    An upper bound on the smallest margin there is: a failed attack proves nothing. Slopes of zero, and random moves
    that do better, are noted: the gradient is masked there.

    foolbox's and torchattacks' PGD differ: they climb the cross-entropy and return the last iterate, not the best.
    """
    if restarts < 1:
        raise InputError(f"restarts={restarts}; at least 1 is needed.")
    asked = case.with_target("margin", "predicted")
    rows = case.rows
    starts = [rows.x, *(ball.draw(rows, case.seed.child("restart", again)) for again in range(1, restarts))]
    edges = [ball.draw(rows, case.seed.child("edge", again), edge=True) for again in range(restarts)]

    def lost(x: Any) -> Floats:
        return -np.asarray(asked.value(x))

    def anywhere(x: Any) -> Masks:
        return np.ones(len(x), dtype=bool)

    climb = ascend(rows.x, lambda x: -asked.gradient(x), lost, anywhere, ball, starts=starts, steps=steps, step=step)
    after = -lost(climb.x)
    random = -np.max([lost(edge) for edge in edges], axis=0)
    success = asked.predicted(climb.x) != asked.label
    return {
        "x": climb.x,
        "success": success,
        "kept": ~success,
        "moved": to_floats(ball.length(climb.x - rows.x)),
        "before": asked.output,
        "after": after,
        "random": random,
        "quantity": "margin",
        "notes": _masked(case, climb.flat, random < after),
    }


def _masked(case: Case, flat: Masks, outdone: Masks) -> tuple[Note, ...]:
    told = (
        ("zero-gradient", flat, "the margin's gradient was zero at every step"),
        ("outdone", outdone & ~flat, "a random move to the ball's edge lowered the margin more than the attack"),
    )
    return tuple(
        Note(
            code,
            f"{what} in {int(rows.sum())} of {len(case)} rows: the gradient is masked, and failing says nothing",
            tuple(name for name, hit in zip(case.rows.ids, rows) if hit),
        )
        for code, rows, what in told
        if rows.any()
    )
