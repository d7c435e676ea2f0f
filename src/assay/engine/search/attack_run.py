# SPDX-License-Identifier: Apache-2.0
"""What attacks on predictions share: the beginning, the result, and the number of passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Array, Ints
from assay.cases.case import Case
from assay.engine.cost import Given
from assay.engine.search.ball import Ball, Norm
from assay.engine.search.first_order import BestPoints, check_steps, projected_descent
from assay.engine.search.losses import LossName
from assay.engine.search.minimum_norm import NearestPoints
from assay.engine.search.threat import Labels, Threat
from assay.engine.search.validity import REPORT_PASSES, attack_report
from assay.nouns.catalogue import Cost
from assay.nouns.results.result import Note


@dataclass(eq=False)
class AttackRun:
    """An attack in progress: the problem, and the best points so far, which begin as the rows themselves."""

    threat: Threat
    best: BestPoints


def begin(
    case: Case, ball: Ball, labels: Labels | None, target_label: Labels | None, *, norms: Sequence[Norm]
) -> AttackRun:
    """The problem and its rows as first points; ``InputError`` for a norm that the attack is not defined for."""
    if ball.norm not in norms:
        raise InputError(f"the ball's norm is {ball.norm!r}; this attack is defined for {', '.join(norms)}.")
    threat = Threat.within(case, ball, labels, target_label)
    margin = threat.search_margins(case.prediction)
    return AttackRun(threat, BestPoints(threat.x, margin, [margin]))


def draw_edges(threat: Threat, count: int) -> list[Array]:
    """Random perturbations of full size."""
    case = threat.case
    return [threat.ball.draw(case.rows, case.seed.child("edge", number), edge=True) for number in range(count)]


def finish(
    run: AttackRun,
    *,
    restarts: int = 1,
    notes: Sequence[Note] = (),
    more: Mapping[str, Any] | None = None,
    uses_gradient: bool = True,
) -> dict[str, Any]:
    """The result of the best points, with as many random perturbations of full size as there were starts."""
    return attack_report(
        run.threat,
        run.best.x,
        edges=draw_edges(run.threat, restarts),
        late=run.best.late_progress() if len(run.best.history) > 2 else None,
        restarts=restarts,
        notes=notes,
        more=more,
        uses_gradient=uses_gradient,
    )


def finish_nearest(
    run: AttackRun, nearest: NearestPoints, notes: Sequence[Note] = (), *, uses_gradient: bool = True
) -> dict[str, Any]:
    """The result of the nearest points: those inside the ball, and all distances as ``minimal_distance``."""
    threat = run.threat
    at_start = threat.successes(threat.case.prediction)
    distance = np.where(at_start, 0.0, nearest.distance)
    return attack_report(
        threat,
        nearest.within(threat.ball, threat.x),
        edges=draw_edges(threat, 1),
        notes=notes,
        extra={"minimal_distance": distance},
        more={
            "minimal_distance_median": float(np.median(distance)),
            "rows_without_success": int(np.isinf(distance).sum()),
        },
        uses_gradient=uses_gradient,
    )


def descend(
    case: Case,
    ball: Ball,
    loss: LossName,
    labels: Labels | None,
    target_label: Labels | None,
    *,
    steps: int,
    step: float,
    momentum: float = 0.0,
    restarts: int = 1,
) -> dict[str, Any]:
    """Projected gradient descent from the row, then from random points of the ball; its result."""
    check_steps(restarts=restarts)
    run = begin(case, ball, labels, target_label, norms=("linf", "l2", "l1"))
    usable, notes = run.threat.usable(loss)
    starts = [run.threat.x, *(ball.draw(case.rows, case.seed.child("restart", n)) for n in range(1, restarts))]
    projected_descent(run.threat, usable, run.best, starts=starts, steps=steps, step=step, momentum=momentum)
    return finish(run, restarts=restarts, notes=notes)


def aims_of(threat: Threat, targets: int) -> list[Ints | None]:
    """The classes to aim at in turn: the most likely other ones, or none; ``InputError`` with a target class."""
    if targets < 0 or (targets and threat.target is not None):
        raise InputError(
            f"targets={targets} aims at so many of the most likely other classes in turn; it is at least 0, and 0 "
            f"where target_label is given."
        )
    return [threat.ranked(rank) for rank in range(targets)] or [None]


def candidate_count(case: Case, candidates: int, targeted: bool) -> int:
    """How many other classes DeepFool compares at each step."""
    check_steps(candidates=candidates)
    classes = len(case.model.classes) or case.prediction.shape[1]
    return 1 if targeted or not case.model.kind.exclusive else max(1, min(candidates, max(2, classes) - 1))


def least_cost(
    gradients: Callable[[Given], int], ends: Callable[[Given], int] | None = None
) -> tuple[Callable[[Given], int], Callable[[Given], int]]:
    """Passes forwards and backwards of a row, for ``per_row``: those with gradient, those without, and the report.

    ``ends`` are the passes of the search without gradient, by default one for each start.
    """

    def forwards(o: Given) -> int:
        starts = getattr(o, "restarts", 1)
        return gradients(o) + (starts if ends is None else ends(o)) + starts + REPORT_PASSES

    return forwards, gradients


def row_cost(case: Case, *, gradients: int, ends: int) -> Cost:
    """The cost of so many passes with gradient and without for each row, and of the report."""
    forwards = gradients + ends + 1 + REPORT_PASSES
    return Cost(forwards, gradients) * (len(case) * case.model.passes_per_row)
