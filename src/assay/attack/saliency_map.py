# SPDX-License-Identifier: Apache-2.0
"""Jacobian-based saliency map attack (JSMA): few elements are moved as far as they go."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import attacker
from assay.engine.search.attack_run import begin, finish, least_cost
from assay.engine.search.ball import Ball
from assay.engine.search.first_order import BestPoints, check_steps
from assay.engine.search.threat import Labels, Threat, as_array
from assay.nouns.inputs.rows import to_floats

PAIRED = 512
"""Elements among which the best pair is sought: those that are best alone."""


@attacker(
    source="papernot2016",
    needs={"gradient", "classes", "numbers", "complete"},
    cost=per_row(*least_cost(lambda o: 2 * o.steps, ends=lambda o: o.steps)),
    has_exact_cost=False,
)
def saliency_map(
    case: Case,
    ball: Ball,
    *,
    elements: Literal["one", "two"] = "two",
    direction: Literal["up", "down", "both"] = "both",
    step: float = 1.0,
    steps: int = 50,
    labels: "Labels | None" = None,
    target_label: "Labels | None" = None,
) -> dict[str, Any]:
    """The smallest margin of the decision after few elements are moved, at most as many as the l0 ball's radius.

    Each step moves the one element, or the pair, whose saliency α · |β| is largest, by ``step`` times the range of the
    ball's bounds: α is the derivative of the score of ``target_label``, β that of the sum of all other scores, of a
    pair their sums; only α > 0 > β counts. Without a target the class is left: α is minus the derivative of the score
    of the label, β minus that of the other scores. Elements move ``up``, ``down``, or ``both`` ways, none of them back;
    an element at its bound moves no more, and once the radius is reached only elements that moved before do. The search
    ends at the first success, or where nothing is salient. Scores are those before the softmax. Pairs are sought among
    the 512 elements that are most salient alone.

    An upper bound on the smallest margin in the ball: a failed attack is no proof of robustness. ``fmn`` with an l0
    ball changes elements by any amount and is the stronger attack where steps suffice.

    Papernot et al. differentiate the probabilities and have targets only; ART reads the true labels given as ``y`` as
    targets, and then changes nothing, which is refused here.
    """
    check_steps(steps=steps)
    if not 0 < step <= 1:
        raise InputError(f"step={step}; a share of the range of the bounds, above 0 and at most 1, is needed.")
    run = begin(case, ball, labels, target_label, norms=("l0",))
    _walk(run.threat, run.best, elements == "two", direction, step, steps)
    return finish(run)


def _walk(threat: Threat, best: BestPoints, pairs: bool, direction: str, step: float, steps: int) -> None:
    ball = threat.ball
    rows = to_floats(threat.x).reshape(len(threat), -1)
    fixed = np.zeros(rows.shape[1], dtype=bool)
    if ball.scale:
        fixed = np.broadcast_to(np.array(ball.scale) == 0, threat.x.shape[1:]).ravel()
    size, moved = step * (ball.high - ball.low), rows.copy()
    running = ~threat.successes(threat.case.prediction)
    signs = {"up": (1.0,), "down": (-1.0,), "both": (1.0, -1.0)}[direction]
    for _ in range(steps):
        which = np.flatnonzero(running)
        if not len(which):
            break
        part = threat.take(which)
        x = as_array(moved[which].reshape(part.x.shape), part.x)
        (_, own), (_, others) = part.gradient(x, "score"), part.gradient(x, "other_scores")
        sign = 1.0 if threat.target is not None else -1.0
        alpha, beta = (sign * to_floats(slope).reshape(len(which), -1) for slope in (own, others))
        for place, row in enumerate(which.tolist()):
            open_ = _open(moved[row], rows[row], fixed, ball, 2 if pairs else 1)
            ways = {way: open_ & _onwards(moved[row], rows[row], way, ball) for way in signs}
            chosen = _most_salient(alpha[place], beta[place], ways, pairs and ball.radius >= 2)
            running[row] = chosen is not None
            if chosen is not None:
                elements, way = chosen
                moved[row, elements] = np.clip(moved[row, elements] + way * size, ball.low, ball.high)
        x = as_array(moved.reshape(threat.x.shape), threat.x)
        outputs = part.outputs(x[which])
        margin = np.array(best.margin)
        margin[which] = part.search_margins(outputs)
        best.offer(x, margin)
        running[which] &= ~part.successes(outputs)


def _open(moved: Floats, row: Floats, fixed: Masks, ball: Ball, count: int) -> Masks:
    """The elements that may move (element,): all, or those that moved before where the radius leaves no more."""
    changed = moved != row
    left = int(ball.radius) - int(changed.sum())
    return ~fixed & (changed if left < min(count, int(ball.radius)) else np.ones(len(row), dtype=bool))


def _onwards(moved: Floats, row: Floats, way: float, ball: Ball) -> Masks:
    """The elements that may move this way (element,): they are not at the bound, and did not move the other way."""
    return np.asarray((moved < ball.high) & (moved >= row) if way > 0 else (moved > ball.low) & (moved <= row))


def _most_salient(
    alpha: Floats, beta: Floats, ways: Mapping[float, Masks], pairs: bool
) -> tuple[list[int], float] | None:
    """The element or pair of the largest saliency and the way that it moves; ``None`` where none is salient."""
    best: tuple[float, list[int], float] | None = None
    for way, allowed in ways.items():
        may = np.flatnonzero(allowed)
        a, b = way * alpha[may], way * beta[may]
        if pairs and len(may) > 1:
            kept = np.sort(np.argsort(-(a - b), kind="stable")[:PAIRED])
            may, a, b = may[kept], a[kept], b[kept]
            sums, others = a[:, None] + a, b[:, None] + b
            value = np.where((sums > 0) & (others < 0), sums * -others, 0.0)
            np.fill_diagonal(value, 0.0)
        else:
            value = np.where((a > 0) & (b < 0), a * -b, 0.0)[:, None]
        if value.size and value.max() > (best[0] if best else 0.0):
            places = np.unravel_index(int(value.argmax()), value.shape)
            found = sorted({int(may[place]) for place in places}) if value.shape[1] > 1 else [int(may[places[0]])]
            best = float(value.max()), found, way
    return None if best is None else best[1:]
