# SPDX-License-Identifier: Apache-2.0
"""Gradient searches inside a ball: projected steps of constant size (PGD), and with a schedule of step sizes (APGD)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from array_api_compat import array_namespace

from assay.basics.errors import InputError
from assay.basics.types import Array, Floats, Ints
from assay.engine.search.losses import LossName, attack_loss
from assay.engine.search.threat import Threat, choose_rows, per_row

MOMENTUM, REQUIRED_RISES = 0.75, 0.75
"""α and ρ of APGD: the weight of the new step, and the share of steps that must raise the loss."""

FIRST_PERIOD, SHORTENED_BY, SHORTEST_PERIOD = 0.22, 0.03, 0.06
"""APGD's periods between checkpoints, as shares of the steps."""

LAST_SHARE = 0.1
"""The share of steps at the end in which a loss should no longer rise."""


@dataclass
class BestPoints:
    """The best point of each row so far: that with the smallest margin.

    ``history`` holds the smallest margin (row,) after each evaluation; ``evaluated`` the margin at the row itself.
    """

    x: Array
    margin: Floats
    history: list[Floats] = field(default_factory=list)

    def offer(self, x: Array, margin: Floats) -> None:
        """Replace the points of the rows in which ``x`` has a smaller margin."""
        better = margin < self.margin
        if better.any():
            self.x = choose_rows(better, x, self.x)
        self.margin = np.where(better, margin, self.margin)
        self.history.append(self.margin)

    def late_progress(self) -> Floats:
        """The share of the fall of the margin (row,) that came in the last tenth of the evaluations; 0 without one."""
        if len(self.history) < 10:
            return np.zeros(len(self.margin))
        first, last = self.history[0], self.history[-1]
        late = self.history[-1 - max(1, round(LAST_SHARE * len(self.history)))]
        with np.errstate(invalid="ignore"):  # an infinite margin falls by no number
            fall = first - last
            share = np.where(fall > 0, (late - last) / np.where(fall > 0, fall, 1.0), 0.0)
        return np.nan_to_num(share)


def projected_descent(
    threat: Threat,
    loss: LossName,
    best: BestPoints,
    *,
    starts: Sequence[Array],
    steps: int,
    step: float,
    momentum: float = 0.0,
    aim: Ints | None = None,
) -> None:
    """Projected steepest ascent of the loss from each start; the points of smallest margin go to ``best``.

    x ← project(x + step · radius · steepest(direction)), direction ← momentum · direction + steepest(gradient).
    One pass with gradient a step, and one without at the end of each start.
    """
    check_steps(steps=steps)
    if not step > 0 or not 0 <= momentum < 1:
        raise InputError(f"step={step}, momentum={momentum}; needed are step > 0 and 0 ≤ momentum < 1.")
    ball, rows = threat.ball, threat.x
    for start in starts:
        x, direction = start, array_namespace(rows).zeros_like(rows)
        for _ in range(steps):
            outputs, slope = threat.gradient(x, loss, aim)
            best.offer(x, threat.search_margins(outputs))
            direction = momentum * direction + ball.steepest(movable(slope, x, threat))
            x = ball.project(x + step * ball.radius * ball.steepest(direction), rows)
        best.offer(x, threat.search_margins(threat.outputs(x)))


def movable(slope: Array, x: Array, threat: Threat) -> Array:
    """The gradient without the elements that an l1 step could only push out of the bounds."""
    ball = threat.ball
    if ball.norm != "l1":
        return slope
    xp = array_namespace(x)
    blocked = ((slope > 0) & (x >= ball.high)) | ((slope < 0) & (x <= ball.low))
    return xp.where(blocked, xp.zeros_like(slope), slope)


def scheduled_ascent(
    threat: Threat, loss: LossName, best: BestPoints, *, start: Array, steps: int, aim: Ints | None = None
) -> None:
    """Auto-PGD (Croce and Hein 2020, algorithm 1) from one start; the points of smallest margin go to ``best``.

    The step size of a row starts at twice the radius and is halved at a checkpoint where the loss rose in fewer than
    75 % of the steps since the last one, or where neither step size nor best loss changed; the row then continues from
    its point of highest loss. One pass with gradient a step, and one at the start.
    """
    check_steps(steps=steps)
    ball, rows, count = threat.ball, threat.x, len(threat)
    points = checkpoints(steps)
    outputs, slope = threat.gradient(start, loss, aim)
    best.offer(start, threat.search_margins(outputs))
    value = loss_values(threat, loss, outputs, aim)
    x, before, top, top_slope, top_value = start, start, start, slope, value
    size = np.full(count, 2.0 * ball.radius)
    rises, last_size, last_top, last_point = np.zeros(count), size.copy(), top_value.copy(), 0
    for number in range(1, steps + 1):
        target = ball.project(x + per_row(size, x) * ball.steepest(slope), rows)
        if number > 1:
            target = ball.project(x + MOMENTUM * (target - x) + (1 - MOMENTUM) * (x - before), rows)
        before, x = x, target
        outputs, slope = threat.gradient(x, loss, aim)
        best.offer(x, threat.search_margins(outputs))
        new = loss_values(threat, loss, outputs, aim)
        rises += new > value
        value, higher = new, new > top_value
        if higher.any():
            top, top_slope = choose_rows(higher, x, top), choose_rows(higher, slope, top_slope)
            top_value = np.where(higher, new, top_value)
        if number in points:
            halve = rises < REQUIRED_RISES * (number - last_point)
            halve |= (last_size == size) & (last_top == top_value)
            last_size, last_top, last_point = size.copy(), top_value.copy(), number
            size, rises = np.where(halve, size / 2, size), np.zeros(count)
            if halve.any():
                x, before = choose_rows(halve, top, x), choose_rows(halve, top, before)
                slope, value = choose_rows(halve, top_slope, slope), np.where(halve, top_value, value)


def loss_values(threat: Threat, loss: LossName, outputs: Floats, aim: Ints | None) -> Floats:
    """The loss (row,) of known outputs; −∞ where an output is not finite."""
    finite = np.isfinite(outputs).all(axis=1)
    aimed = threat.target if aim is None else aim
    found = attack_loss(loss, np.where(finite[:, None], outputs, 0.0), threat.label, aimed, threat.gives)
    return np.where(finite, found, -np.inf)


def checkpoints(steps: int) -> frozenset[int]:
    """The steps after which APGD may halve its step size: ⌈p · steps⌉, p₁ = 0.22, with shrinking periods."""
    found, before, share = [], 0.0, FIRST_PERIOD
    while share <= 1:
        found.append(int(np.ceil(share * steps - 1e-9)))
        before, share = share, share + max(share - before - SHORTENED_BY, SHORTEST_PERIOD)
    return frozenset(found)


def check_steps(**counts: int) -> None:
    """Raise ``InputError`` for a number of steps, restarts or draws below 1."""
    for name, count in counts.items():
        if count < 1:
            raise InputError(f"{name}={count}; at least 1 is needed.")
