# SPDX-License-Identifier: Apache-2.0
"""Whole-number logistic scores with few items, by best-first search over boxes of points, with a lower bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

import numpy as np
from scipy.special import logit

from assay.basics.types import Floats
from assay.engine.distinct.logistic_loss import LogisticLoss
from assay.engine.distinct.table import DistinctRows

NEAR = 2
"""How far a coordinate moves at a time in the search for good points."""

PROMISING = 1.02
"""Rounded points whose objective is higher than the best times this are not improved by moves."""

TIGHTENED = 4.0e6
"""Rows · columns² up to which ranges are cut twice before the search; else once."""

WHOLE = 1e-6
"""Points this close to a whole number count as one."""


@dataclass(frozen=True)
class PointsProblem:
    """min loss((points · conditions + intercept) / multiplier) + ``penalty`` · number of conditions with points.

    ``points`` is the largest absolute value of points; ``items`` the largest number of conditions with points.
    """

    table: DistinctRows
    penalty: float
    points: int
    items: int


@dataclass(frozen=True, eq=False)
class PointsSearch:
    """The best points found (intercept first, then one for each condition), and what the search proved."""

    points: Floats
    multiplier: float
    loss: float
    objective: float
    lower_bound: float
    nodes: int


@dataclass(frozen=True, eq=False)
class _Box:
    """Ranges of the points, and the minimum of the relaxation inside."""

    search: _Search
    low: Floats
    high: Floats
    relaxed: Floats
    bound: float


WORK, MOST_NODES, RELAXATION = 6e10, 5000, 12.0
"""Multiplications that a search may take, boxes at most, and multiplications of a box by rows · columns²."""


def affordable_nodes(table: DistinctRows, multipliers: int) -> int:
    """How many boxes a search expands unless asked: fewer for large tables, so that it ends in about 10 seconds."""
    rows, columns = table.masks.shape
    return int(np.clip(WORK / (RELAXATION * rows * (columns + 1) ** 2) / multipliers, 50, MOST_NODES))


def best_points(problem: PointsProblem, multipliers: Sequence[float], tolerance: float, nodes: int) -> PointsSearch:
    """The points and the multiplier of the lowest objective, to a relative gap of ``tolerance``, or after ``nodes``.

    A box's bound: the loss is convex, so at the relaxation's minimum μ it is at least L(μ) + g · (λ − μ) at any points
    λ of the box; the smallest value of that plane plus the penalty over whole numbers of the box with at most ``items``
    items is found coordinate by coordinate. It is valid however near μ is to the minimum. Ranges are first cut to what
    can be better than the best points found by coordinate moves. The intercept is a whole number without penalty; its
    range contains the best intercept for any points (each class is present).
    """
    searches = [_Search(problem, one) for one in multipliers]
    best = min((one.first_points() for one in searches), key=lambda one: one[0])
    best_search = min(searches, key=lambda one: one.found[0])
    order, expanded = count(), 0
    queue: list[tuple[float, int, _Box]] = []
    for one in searches:
        root = one.root(best[0])
        if root is not None:
            heappush(queue, (root.bound, next(order), root))
    while queue and expanded < nodes:
        bound, _, box = queue[0]
        if bound >= best[0] * (1 - tolerance):
            break
        heappop(queue)
        expanded += 1
        found = box.search.improve(np.rint(box.relaxed), best[0] * PROMISING)
        if found[0] < best[0] - 1e-12:
            best, best_search = found, box.search
        for child in box.search.children(box, best[0]):
            heappush(queue, (child.bound, next(order), child))
    lower = min(best[0], queue[0][0]) if queue else best[0]
    loss = best[0] - problem.penalty * float((best[1][1:] != 0).sum())
    return PointsSearch(best[1] + 0.0, best_search.multiplier, loss, best[0], lower, expanded)


class _Search:
    """Relaxations, bounds and coordinate moves for one multiplier."""

    def __init__(self, problem: PointsProblem, multiplier: float) -> None:
        counts = problem.table.counts
        rows = np.column_stack([np.ones(len(counts)), problem.table.masks.astype(np.float64)]) / multiplier
        self.multiplier, self.problem = multiplier, problem
        self.loss = LogisticLoss(rows, counts[:, 1] / problem.table.total, counts[:, 0] / problem.table.total)
        width = problem.table.masks.shape[1]
        self.items, self.penalty = min(problem.items, width), problem.penalty
        base = abs(float(logit(self.loss.positive.sum()))) * multiplier
        reach = np.ceil(base) + problem.points * self.items + 1
        self.high = np.concatenate([[reach], np.full(width, float(problem.points))])
        self.low = -self.high
        self.tried: set[bytes] = set()
        self.found: tuple[float, Floats] = (np.inf, np.zeros(width + 1))

    def value(self, points: Floats) -> float:
        """The objective of whole-number points."""
        return self.loss(points) + self.penalty * float((points[1:] != 0).sum())

    def first_points(self) -> tuple[float, Floats]:
        """Points by coordinate moves from nothing, and from the relaxation without a penalty."""
        start = np.zeros(len(self.low))
        self.improve(start)
        relaxed = self.loss.relaxed(self.low, self.high, start, start)
        self.improve(np.rint(relaxed))
        return self.found

    def improve(self, points: Floats, limit: float = np.inf) -> tuple[float, Floats]:
        """Coordinate moves and swaps from these points until none is better; the best of the search so far.

        Points whose objective is above ``limit`` are counted, and not moved.
        """
        points = self._with_few_items(np.clip(points, self.low, self.high))
        value = self.value(points)
        while value <= limit and points.tobytes() not in self.tried:
            self.tried.add(points.tobytes())
            value, points, moved = self._best_moves(value, points)
            if not moved and value <= self.found[0]:
                value, points, moved = self._best_swap(value, points)
            if value < self.found[0] - 1e-12:
                self.found = (value, points.copy())
            if not moved:
                break
        return self.found

    def _with_few_items(self, points: Floats) -> Floats:
        """The points without the smallest beyond the allowed number."""
        points = points.copy()
        extra = int((points[1:] != 0).sum()) - self.items
        if extra > 0:
            used = np.flatnonzero(points[1:]) + 1
            points[used[np.argsort(np.abs(points[used]), kind="stable")[:extra]]] = 0.0
        return points

    def _best_moves(self, value: float, points: Floats) -> tuple[float, Floats, bool]:
        """One pass over the coordinates, each moved by up to 2 or to 0, with the intercept moved by −1, 0 or 1."""
        moved, points = False, points.copy()
        for j in range(len(points)):
            full = j and points[j] == 0 and (points[1:] != 0).sum() >= self.items
            if full:
                continue
            found, choice, shift = self._best_setting(points, j)
            if found < value - 1e-12:
                points[j], value, moved = choice, found, True
                points[0] += shift
        return value, points, moved

    def _best_setting(self, points: Floats, j: int) -> tuple[float, float, float]:
        """The best whole number near that of coordinate ``j``: its objective, itself, the move of the intercept."""
        choices = points[j] + np.arange(-NEAR, NEAR + 1.0)
        choices = np.unique(np.append(np.clip(choices, self.low[j], self.high[j]), [0.0] if j else choices))
        shifts = np.array([0.0]) if j == 0 else np.array([0.0, -1.0, 1.0])
        rest = self.loss.x @ points - self.loss.x[:, j] * points[j]
        scores = rest[:, None] + np.outer(self.loss.x[:, j], choices)
        others = self.penalty * float((np.delete(points, [0, j] if j else [0]) != 0).sum())
        values = np.stack([self.loss.of_scores(scores + one / self.multiplier) for one in shifts])
        values = values + others + (self.penalty * (choices != 0) if j else 0.0)
        shift, chosen = np.unravel_index(int(values.argmin()), values.shape)
        return float(values[shift, chosen]), float(choices[chosen]), float(shifts[shift])

    def _best_swap(self, value: float, points: Floats) -> tuple[float, Floats, bool]:
        """The best exchange of one item for another condition."""
        best = (value, points, False)
        for out in np.flatnonzero(points[1:]) + 1:
            without = points.copy()
            without[out] = 0.0
            for j in np.flatnonzero(points[1:] == 0) + 1:
                found, choice, shift = self._best_setting(without, int(j))
                if found < best[0] - 1e-12:
                    new = without.copy()
                    new[j], new[0] = choice, without[0] + shift
                    best = (found, new, True)
        return best

    def root(self, best: float) -> _Box | None:
        """The box of all points that can be better than ``best``; ``None`` where there are none."""
        box = self.box(self.low, self.high, np.zeros(len(self.low)), best)
        if box is None:
            return None
        for _ in range(1 + (self.loss.x.shape[0] * self.loss.x.shape[1] ** 2 <= TIGHTENED)):
            for j in range(len(self.low)):
                for side in (0, 1):
                    box = self._tightened(box, j, side, best)
        return self.box(box.low, box.high, box.relaxed, best, box.bound)

    def _tightened(self, box: _Box, j: int, side: int, best: float) -> _Box:
        """The box without the values of coordinate ``j`` on one side of the relaxation that cannot be better."""
        low, high = box.low.copy(), box.high.copy()
        near, far = np.rint(box.relaxed[j]), (low, high)[side][j]
        sign = 1.0 if side else -1.0
        while (far - near) * sign >= 1:  # bisection: the bound rises with the distance
            middle = near + sign * np.ceil(abs(far - near) / 2)
            one_low, one_high = low.copy(), high.copy()
            (one_low, one_high)[1 - side][j] = middle
            if self.box(one_low, one_high, box.relaxed, best) is None:
                far = middle - sign
            else:
                near = middle
        (low, high)[side][j] = far
        return _Box(self, low, high, np.clip(box.relaxed, low, high), box.bound)

    def box(self, low: Floats, high: Floats, start: Floats, best: float, least: float = -np.inf) -> _Box | None:
        """A box with its relaxation and bound; ``None`` where nothing in it is better than ``best``.

        ``least`` is the bound of a box that contains it.
        """
        forced = int(((low[1:] > 0) | (high[1:] < 0)).sum())
        if forced > self.items:
            return None
        # the convex hull of the penalty over a range from 0 to u is the line penalty / u
        slope = np.zeros(len(low))
        up, down = (low[1:] == 0) & (high[1:] > 0), (high[1:] == 0) & (low[1:] < 0)
        slope[1:][up] = self.penalty / high[1:][up]
        slope[1:][down] = self.penalty / low[1:][down]
        relaxed = self.loss.relaxed(low, high, start, slope)
        bound = max(least, self.plane_bound(relaxed, low, high))
        return None if bound >= best - 1e-12 else _Box(self, low, high, relaxed, bound)

    def plane_bound(self, at: Floats, low: Floats, high: Floats) -> float:
        """The smallest objective of whole-number points of the box under the plane that touches the loss at ``at``."""
        gradient = self.loss.gradient(at)
        ends = np.minimum(gradient * low, gradient * high)
        total = self.loss(at) - float(gradient @ at) + float(ends[0])
        forced = (low[1:] > 0) | (high[1:] < 0)
        total += float(ends[1:][forced].sum()) + self.penalty * float(forced.sum())
        gains = np.minimum(ends[1:][~forced] + self.penalty, 0.0)
        room = self.items - int(forced.sum())
        return total + float(np.sort(gains)[:room].sum())

    def children(self, box: _Box, best: float) -> list[_Box]:
        """The box cut at 0 for the condition with the largest points undecided, else at the most fractional points."""
        low, high, at = box.low, box.high, box.relaxed
        undecided = (low[1:] <= 0) & (high[1:] >= 0) & (low[1:] < high[1:])
        weight = np.abs(at[1:]) * undecided
        if weight.max(initial=0.0) > WHOLE:
            j = int(weight.argmax()) + 1
            ranges = [(0.0, 0.0), (1.0, high[j]), (low[j], -1.0)]
        else:
            fraction = np.abs(at - np.rint(at)) * (high > low)
            j = int(fraction.argmax())
            if fraction[j] <= WHOLE:  # whole already: cut the widest range at it
                j = int((high - low).argmax())
                if high[j] == low[j]:
                    return []
                middle = min(np.floor(at[j] + WHOLE), high[j] - 1)
            else:
                middle = np.floor(at[j])
            ranges = [(low[j], middle), (middle + 1, high[j])]
        found = []
        for one in ranges:
            if one[0] <= one[1]:
                new_low, new_high = low.copy(), high.copy()
                new_low[j], new_high[j] = one
                child = self.box(new_low, new_high, at, best, box.bound)
                if child is not None:
                    found.append(child)
        return found
