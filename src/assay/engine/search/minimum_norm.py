# SPDX-License-Identifier: Apache-2.0
"""Searches for the smallest perturbation that changes a prediction: fast minimum norm (FMN), and DeepFool's steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace

from assay.basics.types import Array, Floats, Masks
from assay.engine.search.ball import Ball
from assay.engine.search.first_order import check_steps, loss_values
from assay.engine.search.losses import LossName
from assay.engine.search.threat import Threat, choose_rows, per_row
from assay.nouns.inputs.rows import to_floats, to_numpy

FIRST_SHRINK, LAST_SHRINK = 0.05, 1e-4
"""γ of FMN: the share by which the norm shrinks or grows, at the first and the last step."""

LAST_STEP = 1e-2
"""The last step length of FMN as a share of the first."""

BISECTIONS = 12
"""How often the way from a row to the point found is halved at the end."""


@dataclass
class NearestPoints:
    """The nearest successful point of each row so far. ``distance`` (row,) is infinite where there is none.

    ``closest`` are the points of smallest margin, ``margin`` (row,) their margins.
    """

    x: Array
    distance: Floats
    closest: Array
    margin: Floats

    @staticmethod
    def of(rows: Array) -> NearestPoints:
        """No point of any row."""
        return NearestPoints(rows, np.full(len(rows), np.inf), rows, np.full(len(rows), np.inf))

    def offer(self, x: Array, distance: Floats, success: Masks, margin: Floats) -> None:
        """Take over the successful points that are nearer, and those of smaller margin."""
        nearer = success & (distance < self.distance)
        if nearer.any():
            self.x = choose_rows(nearer, x, self.x)
        self.distance = np.where(nearer, distance, self.distance)
        lower = margin < self.margin
        if lower.any():
            self.closest = choose_rows(lower, x, self.closest)
        self.margin = np.where(lower, margin, self.margin)

    def within(self, ball: Ball, rows: Array) -> Array:
        """The nearest successful point of a row if the ball contains it, else the best point moved into the ball."""
        inside = self.distance <= ball.radius * (1 + 1e-6)
        found = np.isfinite(self.distance)
        outside = ball.project(choose_rows(found, self.x, self.closest), rows)
        return choose_rows(inside, self.x, outside)


def length_of(ball: Ball, x: Array, rows: Array) -> Floats:
    """The distance (row,) in the ball's norm, in float64."""
    return np.asarray(ball.length(to_floats(x) - to_floats(rows)))


def fast_minimum_norm(threat: Threat, best: NearestPoints, *, steps: int, step: float | Floats, start: Array) -> None:
    """FMN (Pintor et al. 2021, algorithm 1): shrink the norm while the point succeeds, let it grow while it fails.

    δ ← Π(δ − α · ∇margin / ‖∇margin‖₂), Π onto the ball of radius ε within the bounds. ε starts at the distance to
    the linearised boundary and then falls or rises by the share γ; α and γ decrease by half a cosine. One pass with
    gradient a step.
    """
    check_steps(steps=steps)
    ball, rows = threat.ball, threat.x
    longest = step * _euclidean_width(ball, rows.shape[1:])
    x, radius = start, np.full(len(threat), 1.0 if ball.norm == "l0" else np.inf)
    was_found = np.zeros(len(threat), dtype=bool)
    for number in range(steps):
        outputs, slope = threat.gradient(x, "margin")
        success, margin = threat.clear_successes(outputs), threat.search_margins(outputs)
        distance = length_of(ball, x, rows)
        best.offer(x, distance, success, margin)
        was_found |= success
        half = (1 + np.cos(np.pi * number / max(1, steps - 1))) / 2
        shrink = LAST_SHRINK + (FIRST_SHRINK - LAST_SHRINK) * half
        radius = _next_radius(ball, radius, shrink, success, was_found, best.distance, distance, margin, slope)
        share = LAST_STEP + (1 - LAST_STEP) * half
        euclidean = _euclidean(slope)
        move = per_row(longest * share / np.where(euclidean > 0, euclidean, 1.0), x) * slope
        x = ball.project(x + move, rows, _like(np.minimum(radius, _largest(ball, rows)), rows))


def _like(values: Floats, like: Array) -> Array:
    return per_row(values, like.reshape(len(like), -1)).reshape(-1)


def _next_radius(
    ball: Ball,
    radius: Floats,
    shrink: float,
    success: Masks,
    was_found: Masks,
    nearest: Floats,
    distance: Floats,
    margin: Floats,
    slope: Array,
) -> Floats:
    """ε of the next step (row,): smaller where the point succeeds, larger where it fails, first by linearisation."""
    if ball.norm == "l0":
        smaller = np.minimum(np.minimum(radius - 1, np.floor(radius * (1 - shrink))), nearest)
        larger = np.maximum(radius + 1, np.floor(radius * (1 + shrink)))
        return np.maximum(np.where(success, smaller, larger), 1.0)
    smaller = np.minimum(radius * (1 - shrink), nearest)
    with np.errstate(divide="ignore", invalid="ignore"):  # no slope, no boundary
        linear = distance + np.maximum(margin, 0) / dual_length(ball, slope)
    linear = np.where(np.isfinite(linear), linear, np.inf)
    larger = np.where(was_found, radius, linear) * (1 + shrink)  # beyond the boundary, where a success is clear
    return np.where(success, smaller, larger)


def dual_length(ball: Ball, slope: Array) -> Floats:
    """The slope along the direction of steepest ascent (row,)."""
    values = to_floats(slope)
    steepest = to_floats(ball.steepest(values))
    return np.asarray((values * steepest).reshape(len(values), -1).sum(axis=1))


def _euclidean(slope: Array) -> Floats:
    return np.asarray(np.sqrt((to_floats(slope).reshape(len(slope), -1) ** 2).sum(axis=1)))


def _euclidean_width(ball: Ball, shape: tuple[int, ...]) -> float:
    """The Euclidean length of the longest move of the ball, the unit of step lengths."""
    scales = np.broadcast_to(np.array(ball.scale), shape).ravel() if ball.scale else np.ones(int(np.prod(shape)))
    if ball.norm == "linf":
        return float(ball.radius * np.sqrt((scales**2).sum()))
    if ball.norm == "l0":
        return float((ball.high - ball.low) * np.sqrt(ball.radius))
    return float(ball.radius * scales.max())


def _largest(ball: Ball, rows: Array) -> float:
    """A norm that no row and its bounds exceed, for steps without a limit."""
    return float(rows[0].size if isinstance(rows, np.ndarray) else rows[0].numel()) if ball.norm == "l0" else 1e12


def bisect_towards_rows(threat: Threat, best: NearestPoints) -> None:
    """Move each successful point straight towards its row, as near as it still succeeds; ``BISECTIONS`` passes.

    For l0 the way has no nearer points, and nothing is done.
    """
    rows = threat.x
    far, near = np.ones(len(threat)), np.zeros(len(threat))
    end = best.x
    found = np.isfinite(best.distance)
    for _ in range(BISECTIONS):
        middle = (far + near) / 2
        x = rows + per_row(np.where(found, middle, 0.0), rows) * (end - rows)
        outputs = threat.outputs(x)
        success = threat.clear_successes(outputs) & found
        best.offer(x, length_of(threat.ball, x, rows), success, threat.search_margins(outputs))
        far, near = np.where(success, middle, far), np.where(success, near, middle)


def linearised_steps(threat: Threat, best: NearestPoints, *, steps: int, overshoot: float, candidates: int) -> None:
    """DeepFool (Moosavi-Dezfooli et al. 2016, algorithm 2) towards the nearest of several linearised boundaries.

    Each step adds the smallest move to the nearest boundary between the label and one of the ``candidates`` most likely
    other classes; the point evaluated is the row plus (1 + overshoot) times the sum of all moves. One pass with
    gradient for each candidate a step, and one without at the end.
    """
    check_steps(steps=steps)
    ball, rows, xp = threat.ball, threat.x, array_namespace(threat.x)
    loss: LossName = "difference" if threat.target is None else "margin"
    x, total, done = rows, xp.zeros_like(rows), np.zeros(len(threat), dtype=bool)
    for _ in range(steps):
        shortest, chosen = np.full(len(threat), np.inf), xp.zeros_like(rows)
        for rank in range(candidates):
            aim = threat.target if threat.target is not None else threat.ranked(rank)
            outputs, slope = threat.gradient(x, loss, aim)
            if rank == 0:
                success = threat.successes(outputs)
                best.offer(x, length_of(ball, x, rows), success, threat.search_margins(outputs))
                done |= success
            gap = -loss_values(threat, loss, outputs, aim)  # how far the label's score lies above that of the aim
            dual = dual_length(ball, slope)
            with np.errstate(divide="ignore", invalid="ignore"):  # no slope, no boundary
                length = np.where(dual > 0, np.maximum(gap, 0) / dual, np.inf)
            move = _steepest_move(ball, slope, length)
            nearer = length < shortest
            chosen, shortest = choose_rows(nearer, move, chosen), np.where(nearer, length, shortest)
        total = total + choose_rows(done, xp.zeros_like(chosen), chosen)
        x = choose_rows(done, x, xp.clip(rows + (1 + overshoot) * total, ball.low, ball.high))
    outputs = threat.outputs(x)
    best.offer(x, length_of(ball, x, rows), threat.successes(outputs), threat.search_margins(outputs))


def _steepest_move(ball: Ball, slope: Array, length: Floats) -> Array:
    """A move of the given length (row,) along the direction of steepest ascent; 0 where the length is infinite."""
    known = np.where(np.isfinite(length), length, 0.0)
    direction = ball.steepest(slope)
    norm = np.asarray(to_numpy(ball.length(direction)), dtype=np.float64)
    return per_row(known * np.where(norm > 0, 1.0, 0.0), slope) * direction
