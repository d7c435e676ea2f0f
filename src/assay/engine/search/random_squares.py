# SPDX-License-Identifier: Apache-2.0
"""Square attack: a random search with windows that shrink, without gradients, for every model and kind of row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.types import Array, Floats
from assay.engine.search.ball import Ball
from assay.engine.search.first_order import BestPoints, check_steps
from assay.engine.search.threat import Threat, as_array, choose_rows
from assay.nouns.inputs.rows import to_floats

HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""The shares of the queries after which the size of a window is halved (Andriushchenko et al. 2020, section 4)."""

INNER_DRAWS = 0.5
"""The share of proposals for tables that draw values inside the ball: trees need not give way at its corners."""


def random_squares(threat: Threat, best: BestPoints, *, queries: int, share: float) -> None:
    """The Square attack (Andriushchenko et al. 2020) from a random start; the points of smallest margin go to ``best``.

    Every query changes a random window of the perturbation and keeps the change where the margin falls. ``share`` is
    that of the elements in the first window. One pass without gradient a query, and one at the start.
    """
    check_steps(queries=queries)
    generators = [threat.case.seed.child("square", name).generator() for name in threat.case.rows.ids]
    rows = to_floats(threat.x)
    proposals = window_proposals(threat.ball, rows)
    moves = np.stack([proposals.first(place, one) for place, one in enumerate(generators)])
    x = _moved(threat, moves)
    margin = threat.search_margins(threat.outputs(x))
    best.offer(x, margin)
    moves = _true_moves(x, rows)
    for number in range(queries):
        size = share * 0.5 ** sum(number >= limit * queries for limit in HALVINGS)
        new = np.stack([proposals.next(place, moves[place], size, one) for place, one in enumerate(generators)])
        candidate = _moved(threat, new)
        found = threat.search_margins(threat.outputs(candidate))
        better = found < margin
        if better.any():
            x = choose_rows(better, candidate, x)
            moves = np.where(better.reshape((-1,) + (1,) * (moves.ndim - 1)), _true_moves(candidate, rows), moves)
        margin = np.where(better, found, margin)
        best.offer(x, margin)


def window_proposals(ball: Ball, rows: Floats) -> _Linf | _L2:
    """The random windows of perturbations of these rows (row, *shape), for linf and l2."""
    return _Linf(ball, rows) if ball.norm == "linf" else _L2(ball, rows)


def _moved(threat: Threat, moves: Floats) -> Array:
    """The rows moved, inside the ball and its bounds."""
    return threat.ball.project(threat.x + as_array(moves, threat.x), threat.x)


def _true_moves(x: Array, rows: Floats) -> Floats:
    return to_floats(x) - rows


@dataclass(frozen=True)
class _Linf:
    """Windows of constant sign in each channel; for tables and signals a random subset of the elements."""

    ball: Ball
    rows: Floats

    def first(self, place: int, random: np.random.Generator) -> Floats:
        shape = self.rows.shape[1:]
        signs = random.choice([-1.0, 1.0], (shape[0], 1, shape[2]) if len(shape) == 3 else shape)
        return np.broadcast_to(self.ball.radius * signs * _scales(self.ball), shape).copy()

    def next(self, place: int, move: Floats, share: float, random: np.random.Generator) -> Floats:
        new = move.copy()
        if move.ndim == 3:
            window = _square(move.shape, share, random)
            new[window] = self.ball.radius * random.choice([-1.0, 1.0], (move.shape[0], 1, 1))
            return new
        chosen = _subset(move.size, share, random)
        inner = random.random() < INNER_DRAWS
        values = random.uniform(-1, 1, len(chosen)) if inner else random.choice([-1.0, 1.0], len(chosen))
        scales = np.broadcast_to(_scales(self.ball), move.shape).ravel()[chosen]
        new.reshape(-1)[chosen] = self.ball.radius * values * scales
        return new


@dataclass(frozen=True)
class _L2:
    """Windows that take over the length of another window and what length is left, with a random pattern."""

    ball: Ball
    rows: Floats

    def first(self, place: int, random: np.random.Generator) -> Floats:
        shape = self.rows.shape[1:]
        move = random.standard_normal(shape)
        if len(shape) == 3:
            side = max(1, shape[1] // 5)
            move = np.zeros(shape)
            for top in range(0, shape[1] - side + 1, side):
                for left in range(0, shape[2] - side + 1, side):
                    part = np.s_[:, top : top + side, left : left + side]
                    move[part] += _bump(side, random) * random.choice([-1.0, 1.0], (shape[0], 1, 1))
        return self._of_length(move * (np.asarray(_scales(self.ball)) != 0), self.ball.radius)

    def next(self, place: int, move: Floats, share: float, random: np.random.Generator) -> Floats:
        scales = np.where(np.asarray(_scales(self.ball)) > 0, _scales(self.ball), 1.0)
        unit = move / scales  # lengths are those of the divided perturbation
        left_over = max(0.0, self.ball.radius**2 - float((unit**2).sum()))
        taken, given = np.zeros(move.shape, dtype=bool), np.zeros(move.shape, dtype=bool)
        pattern = np.zeros(move.shape)
        if move.ndim == 3:
            window = _square(move.shape, share, random)
            other = _square(move.shape, share, random)
            bump = _bump(window[1].stop - window[1].start, random)
            pattern[window] = bump * random.choice([-1.0, 1.0], (move.shape[0], 1, 1))
            given[window], taken[other] = True, True
        else:
            chosen, others = (_subset(move.size, share, random) for _ in range(2))
            pattern.reshape(-1)[chosen] = random.standard_normal(len(chosen))
            given.reshape(-1)[chosen], taken.reshape(-1)[others] = True, True
        pattern *= np.asarray(_scales(self.ball)) != 0
        inside = np.where(given, unit, 0.0)
        length = float(np.linalg.norm(inside))
        pattern = pattern / max(float(np.linalg.norm(pattern)), 1e-12) + (inside / length if length > 0 else 0.0)
        available = np.sqrt(float((unit[given | taken] ** 2).sum()) + left_over)
        new = np.where(given | taken, 0.0, unit)
        size = float(np.linalg.norm(pattern))
        new = new + (pattern / size * available if size > 0 else 0.0)
        return np.asarray(new * scales)

    def _of_length(self, move: Floats, length: float) -> Floats:
        scales = _scales(self.ball)
        return np.asarray(move / max(float(np.linalg.norm(move)), 1e-12) * length * scales)


def _scales(ball: Ball) -> Floats | float:
    return np.array(ball.scale) if ball.scale else 1.0


def _square(shape: tuple[int, ...], share: float, random: np.random.Generator) -> tuple[slice, slice, slice]:
    """A square window with about ``share`` of the pixels, at a random place."""
    side = min(max(1, round(np.sqrt(share * shape[1] * shape[2]))), shape[1], shape[2])
    top, left = random.integers(0, shape[1] - side + 1), random.integers(0, shape[2] - side + 1)
    return slice(None), slice(top, top + side), slice(left, left + side)


def _subset(size: int, share: float, random: np.random.Generator) -> np.ndarray:
    """A random subset with about ``share`` of the elements, at least one."""
    return random.choice(size, max(1, round(share * size)), replace=False)


def _bump(side: int, random: np.random.Generator) -> Floats:
    """A pattern (side, side) of two halves with opposite signs, each with most weight in its middle."""
    if side == 1:
        return np.ones((1, 1))
    first, second = side // 2, side - side // 2
    pattern = np.concatenate([_pyramid(first, side), -_pyramid(second, side)], axis=0)
    return pattern.T if random.random() < 0.5 else pattern


def _pyramid(height: int, width: int) -> Floats:
    """Sums of 1 / (n + 1 − k)² over the nested rectangles that contain a cell, n of them."""
    count = max(1, (max(height, width) + 1) // 2)
    down = np.minimum(np.arange(height), np.arange(height)[::-1])[:, None]
    across = np.minimum(np.arange(width), np.arange(width)[::-1])[None, :]
    depth = np.minimum(down * max(1, width // max(1, height)), across)
    weights = np.cumsum(1.0 / (count + 1 - np.arange(count + 1)) ** 2)
    return np.asarray(weights[np.minimum(depth, count)])
