# SPDX-License-Identifier: Apache-2.0
"""Projected gradient descent (PGD): an adversarial attack on the predicted class."""

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
    # the margin at the rows, at the final points and at random perturbations; a gradient and a margin per step
    cost=per_row(lambda o: 4 + o.restarts * (2 * o.steps + 1), lambda o: o.restarts * o.steps),
)
def pgd(case: Case, ball: Ball, *, steps: int = 40, step: float = 0.1, restarts: int = 1) -> dict[str, Any]:
    """The smallest margin of the predicted class over the runner-up found in the ball; below 0 the prediction changed.

    Steepest descent on the margin, in units of the model's scores (of its probabilities, if it gives those). The margin
    does not saturate where the model is confident, as cross-entropy does. The attacked class is always the predicted
    one, whatever the case's target. The first start is the row, further ``restarts`` are drawn in the ball; ``step`` is
    a share of the radius. ``random`` is the smallest margin among as many random perturbations of full radius.

    The result is an upper bound on the smallest margin in the ball: a failed attack is no proof of robustness. A note
    names rows whose gradient is masked: it is zero at every step, or a random perturbation does better.

    foolbox's and torchattacks' PGD differ: they maximise the cross-entropy and return the last iterate, not the best.
    """
    if restarts < 1:
        raise InputError(f"restarts={restarts}; at least 1 is needed.")
    margin = case.with_target("margin", "predicted")
    rows = case.rows
    starts = [rows.x, *(ball.draw(rows, case.seed.child("restart", number)) for number in range(1, restarts))]
    edges = [ball.draw(rows, case.seed.child("edge", number), edge=True) for number in range(restarts)]

    def objective(x: Any) -> Floats:
        return -np.asarray(margin.value(x))

    def gradient(x: Any) -> Any:
        return -margin.gradient(x)

    def accept_all(x: Any) -> Masks:
        return np.ones(len(x), dtype=bool)

    found = ascend(rows.x, gradient, objective, accept_all, ball, starts=starts, steps=steps, step=step)
    after = -objective(found.x)
    random = -np.max([objective(edge) for edge in edges], axis=0)
    success = margin.predicted(found.x) != margin.label
    return {
        "x": found.x,
        "success": success,
        "prediction_unchanged": ~success,
        "distance": to_floats(ball.length(found.x - rows.x)),
        "before": margin.output,
        "after": after,
        "random": random,
        "quantity": "margin",
        "notes": _masked_gradient_notes(case, found.has_zero_gradient, random < after),
    }


def _masked_gradient_notes(case: Case, zero: Masks, random_better: Masks) -> tuple[Note, ...]:
    signs = (
        ("zero-gradient", zero, "the gradient of the margin is zero at every step"),
        ("random-better", random_better & ~zero, "a random perturbation lowers the margin more than the attack"),
    )
    return tuple(
        Note(
            code,
            f"{text} in {int(rows.sum())} of {len(case)} rows: the gradient is masked, and a failed attack there is no "
            f"evidence of robustness",
            tuple(name for name, hit in zip(case.rows.ids, rows) if hit),
        )
        for code, rows, text in signs
        if rows.any()
    )
