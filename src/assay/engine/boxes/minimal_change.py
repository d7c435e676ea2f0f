# SPDX-License-Identifier: Apache-2.0
"""The smallest change of a row after which a sum of trees exceeds a limit: best-first search with a proof."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

import numpy as np

from assay.basics.types import Floats, Ints
from assay.engine.boxes.greedy_point import GreedyPoint
from assay.engine.boxes.leaf_boxes import LeafBoxes

Norm = Literal["linf", "l2", "l1"]
"""How the changes of the players add up to a distance."""

CUTS = 8
"""Places at which a player's cells may be divided that are compared."""


@dataclass(frozen=True, eq=False)
class Condition:
    """A sum that has to reach ``limit``, too; ``worth`` (leaf,) is what each leaf adds to it, 0 for other trees."""

    worth: Floats
    limit: float


@dataclass(frozen=True, eq=False)
class Search:
    """One row's question: how far must the players move until the trees' worth exceeds ``limit``?

    ``worth`` (leaf,) is what a leaf adds. ``costs`` holds for each player the distance of each cell from the row
    (cell,), infinite where the player may not go; ``own`` (player,) are the row's cells. A worth of at least ``limit``
    counts. With ``places`` no more players than that may move; costs of 0 count as no move. The conditions ``also``
    have to hold at the same point.
    """

    boxes: LeafBoxes
    worth: Floats
    limit: float
    costs: tuple[Floats, ...]
    own: Ints
    norm: Norm
    places: int | None = None
    also: tuple[Condition, ...] = ()


@dataclass(frozen=True, eq=False)
class Found:
    """``low`` is a proved lower bound of the distance; ``distance`` is that of the best point, at ``cells`` (player,).

    Without a point ``distance`` is infinite and ``cells`` is ``None``.
    """

    low: float
    distance: float
    cells: Ints | None
    nodes: int


@dataclass(order=True)
class Node:
    """A box of cells: no point in it is nearer than ``low``; boxes with a higher bound of the worth come first."""

    low: float
    minus_bound: float
    number: int
    first: Ints = field(compare=False)
    last: Ints = field(compare=False)
    leaves: Ints = field(compare=False)


def minimal_change(search: Search, max_nodes: int, at_most: float = np.inf) -> Found:
    """Best-first search over boxes of cells.

    A box's bound: the smallest ε such that Σ over trees of the best leaf within ε of the row exceeds the limit, where
    each leaf alone is compared with ε; every point of the box is at least that far away. The box with the smallest
    bound is divided where its best leaves contradict each other. If they do not, the box contains a point at which the
    trees reach all of them, which is then the nearest one for ``linf``. For
    ``l1`` greedy steps give a first point. Points at ``at_most`` or farther are not searched for.
    """
    evaluator = _Evaluator(search)
    best = float(at_most)
    cells: Ints | None = None
    root = evaluator.root()
    heap = [] if root is None else [root]
    nodes = 0
    start = evaluator.start() if heap and search.norm == "l1" else None
    if start is not None and evaluator.distance(start) < best and evaluator.reaches(start, heap[0]):
        best, cells = evaluator.distance(start), start
    while heap and heap[0].low < best and nodes < max_nodes:
        node = heapq.heappop(heap)
        nodes += 1
        open_box = evaluator.open(node)
        for point in evaluator.candidates(open_box):
            distance = evaluator.distance(point)
            if distance < best and evaluator.reaches(point, node):
                best, cells = distance, point
        for child in evaluator.divide(open_box):
            if child.low < best:
                heapq.heappush(heap, child)
    bound = min(best, heap[0].low) if heap else best
    return Found(bound, np.inf if cells is None else best, cells, nodes)


@dataclass(frozen=True, eq=False)
class _OpenBox:
    """A box with its leaves' distances: by player (leaf, player) and together (leaf,).

    ``chosen`` (tree,) is the best leaf of each tree within the box's bound; ``first`` and ``last`` (player,) are the
    highest first and the lowest last cell of the chosen leaves.
    """

    node: Node
    starts: Ints
    near: Ints
    costs: Floats
    distance: Floats
    chosen: Ints
    first: Ints
    last: Ints


class _Evaluator:
    """The arithmetic of a search on the arrays of its leaves."""

    def __init__(self, search: Search) -> None:
        self.search = search
        sizes = np.array([len(one) for one in search.costs], dtype=np.int64)
        self.offset = np.cumsum(sizes) - sizes
        self.costs = np.concatenate([*search.costs, np.empty(0)])
        leaves = len(search.worth)
        self.tree = np.searchsorted(search.boxes.starts, np.arange(leaves), side="right") - 1
        self.numbers = count()
        self.conditions = (Condition(search.worth, search.limit), *search.also)
        self.sizes = [1e-12 + float(np.abs(one.worth).max(initial=0.0)) for one in self.conditions]

    def root(self) -> Node | None:
        """All cells; ``None`` where the trees cannot exceed the limit."""
        last = np.array([len(one) - 1 for one in self.search.costs], dtype=np.int32)
        first, leaves = np.zeros_like(last), np.arange(len(self.search.worth), dtype=np.int32)
        near = self._near(leaves, first, last)
        return self._box(first, last, leaves, self._norm(self.costs[self.offset + near]), 0.0)

    def start(self) -> Ints | None:
        """A point that reaches the limits, from greedy steps."""
        search, conditions = self.search, self.conditions
        worths, limits = [one.worth for one in conditions], [one.limit for one in conditions]
        return GreedyPoint(search.boxes, worths, limits, search.costs, search.own, search.places).find()

    def _box(self, first: Ints, last: Ints, leaves: Ints, distance: Floats, low: float) -> Node | None:
        """The box with its bounds, ``low`` that of the box around it; ``None`` where the limit cannot be exceeded."""
        reachable = np.isfinite(distance)
        leaves, distance = leaves[reachable], distance[reachable]
        starts = self._starts(leaves)
        if len(starts) < len(self.search.boxes.starts):
            return None
        worths = [(one.worth[leaves], one.limit) for one in self.conditions]
        bounds = [float(np.maximum.reduceat(worth, starts).sum()) for worth, _ in worths]
        if any(bound < limit for bound, (_, limit) in zip(bounds, worths)):
            return None
        bound = bounds[0]
        levels = np.unique(distance[distance > low])
        above = -1  # level −1 is ``low`` itself, and often enough
        for worth, limit in worths:  # a level that is too low for one condition is too low for all
            if best_within(worth, distance, starts, low if above < 0 else levels[above]) >= limit:
                continue
            below, above = above, len(levels) - 1
            while above - below > 1:
                middle = (below + above) // 2
                if best_within(worth, distance, starts, levels[middle]) >= limit:
                    above = middle
                else:
                    below = middle
        return Node(low if above < 0 else float(levels[above]), -bound, next(self.numbers), first, last, leaves)

    def open(self, node: Node) -> _OpenBox:
        """The distances of a box's leaves, and the leaves that its bound rests on."""
        boxes, leaves = self.search.boxes, node.leaves
        near = self._near(leaves, node.first, node.last)
        costs = self.costs[self.offset + near]
        distance, starts = self._norm(costs), self._starts(leaves)
        worth = self._hardest(node)[leaves]
        within = np.where(distance <= node.low, worth, -np.inf)
        highest = np.maximum.reduceat(within, starts)
        hits = np.flatnonzero(within == np.repeat(highest, np.diff(np.append(starts, len(leaves)))))
        chosen = leaves[hits[np.searchsorted(hits, starts)]]
        first = np.maximum(boxes.first[chosen], node.first).max(axis=0)
        last = np.minimum(boxes.last[chosen], node.last).min(axis=0)
        return _OpenBox(node, starts, near, costs, distance, chosen, first, last)

    def _hardest(self, node: Node) -> Floats:
        """What each leaf adds to the condition that the nearest point of the box misses by most."""
        if len(self.conditions) == 1:
            return self.search.worth
        here = self._leaves_at(np.clip(self.search.own, node.first, node.last), node)
        missing = [(one.limit - one.worth[here].sum()) / size for one, size in zip(self.conditions, self.sizes)]
        return self.conditions[int(np.argmax(missing))].worth

    def _leaves_at(self, point: Ints, node: Node) -> Ints:
        boxes, leaves = self.search.boxes, node.leaves
        return np.asarray(leaves[((boxes.first[leaves] <= point) & (boxes.last[leaves] >= point)).all(axis=1)])

    def candidates(self, box: _OpenBox) -> list[Ints]:
        """Points to try: as near to the row as the box allows, and as many chosen leaves as possible."""
        node, boxes, own = box.node, self.search.boxes, self.search.own
        lows = np.sort(np.maximum(boxes.first[box.chosen], node.first), axis=0)
        highs = np.sort(np.minimum(boxes.last[box.chosen], node.last), axis=0)
        agrees = box.first <= box.last
        low = np.where(agrees, box.first, lows[len(lows) // 2])
        high = np.where(agrees, box.last, np.maximum(low, highs[len(highs) // 2]))
        points = [np.clip(own, low, high), np.clip(own, node.first, node.last)]
        return [point.astype(np.int64) for point in points]

    def reaches(self, point: Ints, node: Node) -> bool:
        """Whether the trees exceed the limit at this point of the node's box."""
        here = self._leaves_at(point, node)
        return all(bool(one.worth[here].sum() >= one.limit) for one in self.conditions)

    def divide(self, box: _OpenBox) -> list[Node]:
        """The box divided in two where the chosen leaves that contradict each other weigh most; not a single point."""
        conflict = np.flatnonzero(box.first > box.last)
        player, cut = self._cut(box, conflict) if len(conflict) else self._cut_common(box)
        if player < 0:
            return []
        found = (self._side(box, player, cut, is_left) for is_left in (True, False))
        return [one for one in found if one is not None]

    def _side(self, box: _OpenBox, player: int, cut: int, is_left: bool) -> Node | None:
        boxes, node = self.search.boxes, box.node
        first, last = node.first.copy(), node.last.copy()
        if is_left:
            last[player] = cut
            inside = np.flatnonzero(boxes.first[node.leaves, player] <= cut)
        else:
            first[player] = cut + 1
            inside = np.flatnonzero(boxes.last[node.leaves, player] > cut)
        leaves = node.leaves[inside]
        near = np.clip(box.near[inside, player], first[player], last[player])
        moved = self.costs[self.offset[player] + near]
        if self.search.norm == "linf" and self.search.places is None:
            distance = np.maximum(box.distance[inside], moved)
        else:
            costs = box.costs[inside]
            costs[:, player] = moved
            distance = self._norm(costs)
        return self._box(first, last, leaves, distance, node.low)

    def _cut(self, box: _OpenBox, players: Ints) -> tuple[int, int]:
        """Player and last cell of the left box: each side loses as much worth of chosen leaves as possible."""
        boxes, worth, chosen = self.search.boxes, self._hardest(box.node), box.chosen
        gain = worth[chosen] - np.minimum.reduceat(worth[box.node.leaves], box.starts)
        low, high = box.last[players].astype(float), box.first[players].astype(float) - 1
        cuts = np.rint(low[:, None] + np.linspace(0.0, 1.0, CUTS) * (high - low)[:, None]).astype(np.int64)
        weight = gain[:, None, None]
        lost_left = (weight * (boxes.first[chosen][:, players, None] > cuts)).sum(axis=0)
        lost_right = (weight * (boxes.last[chosen][:, players, None] <= cuts)).sum(axis=0)
        score = np.minimum(lost_left, lost_right) + 1e-3 * np.maximum(lost_left, lost_right)
        place, step = np.unravel_index(int(np.argmax(score)), score.shape)
        return int(players[place]), int(cuts[place, step])

    def _cut_common(self, box: _OpenBox) -> tuple[int, int]:
        """Where to cut off what lies outside the cells that the chosen leaves have in common; −1 for a single point."""
        node = box.node
        for player in np.argsort(node.first - node.last).tolist():
            if node.first[player] < node.last[player]:
                if box.first[player] > node.first[player]:
                    return player, int(box.first[player]) - 1
                near = int(np.clip(self.search.own[player], node.first[player], node.last[player] - 1))
                return player, min(near, int(box.last[player]))
        return -1, 0

    def distance(self, cells: Ints) -> float:
        """The distance of the nearest point with these cells."""
        return float(self._norm(self.costs[self.offset + cells][None])[0])

    def _near(self, leaves: Ints, first: Ints, last: Ints) -> Ints:
        """The cell (leaf, player) of each leaf in the box that is nearest to the row."""
        boxes = self.search.boxes
        low, high = np.maximum(boxes.first[leaves], first), np.minimum(boxes.last[leaves], last)
        return np.asarray(np.minimum(np.maximum(self.search.own, low), high))

    def _norm(self, costs: Floats) -> Floats:
        if not costs.shape[1]:
            return np.zeros(len(costs))
        if self.search.places is not None:
            costs = np.where(((costs > 0).sum(axis=1) > self.search.places)[:, None], np.inf, costs)
        if self.search.norm == "linf":
            return np.asarray(costs.max(axis=1))
        return np.asarray(costs.sum(axis=1) if self.search.norm == "l1" else np.sqrt((costs**2).sum(axis=1)))

    def _starts(self, leaves: Ints) -> Ints:
        tree = self.tree[leaves]
        return np.flatnonzero(np.concatenate([[True], tree[1:] != tree[:-1]])) if len(tree) else np.empty(0, np.int64)


def best_within(worth: Floats, distance: Floats, starts: Ints, most: float) -> float:
    """The sum over trees of the best leaf that is at most so far away."""
    return float(np.maximum.reduceat(np.where(distance <= most, worth, -np.inf), starts).sum())
