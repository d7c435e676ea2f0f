# SPDX-License-Identifier: Apache-2.0
"""Whether any completion of the free elements of a row makes a sum of trees reach a limit: a point, or a proof."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Literal

import numpy as np

from assay.basics.types import Floats, Ints, Masks

TOGETHER = 32
"""Boxes that are divided at a time."""

MAX_LEAVES = 200_000
"""Leaves of boxes that are divided at a time, at most."""

SWEEPS = 12
"""Changes of one element in a greedy ascent, at most."""


@dataclass(frozen=True, eq=False)
class FreeTrees:
    """The leaves that a row reaches by moving its free elements.

    Cells of each free element are numbered 0 … ``sizes`` − 1 (element,), so that those of the domain come without gaps.
    ``first`` and ``last`` (leaf, element) are the outermost cells of a leaf; ``inside`` (leaf, place) says for the
    elements of ``listed`` which cells it has, over the lists one after another, which begin at ``offset`` (element,).
    ``tree`` (leaf,) ascends from 0 without gaps, ``worth`` (leaf,) is what is added up. ``own`` (element,) is the row.
    """

    first: Ints
    last: Ints
    inside: Masks
    listed: Masks
    offset: Ints
    sizes: Ints
    tree: Ints
    worth: Floats
    own: Ints


@dataclass(frozen=True, eq=False)
class Answer:
    """``flip``: the cells (element,) of a point that reaches the limit; ``none``: proved that there is none; ``open``.

    ``boxes`` were divided.
    """

    verdict: Literal["flip", "none", "open"]
    cells: Ints | None
    boxes: int


def find_flip(trees: FreeTrees, limit: float, starts: list[Ints], max_boxes: int) -> Answer:
    """Greedy ascents from the row and ``starts``, then branch and bound over boxes of cells.

    A box's bound is Σ over trees of the best leaf in it. A box below the limit is closed; one whose best leaves have a
    point in common is a flip; others are divided where the best leaves contradict each other most, so that each side
    loses as much as possible.
    """
    highest = float(np.maximum.reduceat(trees.worth, _starts(trees.tree)).sum())
    if highest < limit:
        return Answer("none", None, 0)
    for start in [trees.own, *starts]:
        point, value = ascend(trees, start, limit)
        if value >= limit:
            return Answer("flip", point, 0)
    return _Division(trees, limit).run(max_boxes)


def ascend(trees: FreeTrees, start: Ints, limit: float = np.inf) -> tuple[Ints, float]:
    """A point reached by changing one element at a time, each time the best of all single changes; and its sum."""
    point, value = start.copy(), -np.inf
    for _ in range(SWEEPS):
        element, cell, best = _best_change(trees, point)
        if best <= value + 1e-12 * (1 + abs(value)):
            break
        value = best
        point[element] = cell
        if value >= limit:
            break
    return point, value


def _best_change(trees: FreeTrees, point: Ints) -> tuple[int, int, float]:
    """The change of one element of a point with the largest sum afterwards (possibly none): element, cell, sum."""
    outside = (trees.first > point) | (trees.last < point)
    for element in np.flatnonzero(trees.listed).tolist():
        outside[:, element] = ~trees.inside[:, trees.offset[element] + point[element]]
    misses = outside.sum(axis=1)
    at_point, near = np.flatnonzero(misses == 0), np.flatnonzero(misses == 1)
    through = outside[near].argmax(axis=1)
    begin = np.cumsum(trees.sizes + 1) - (trees.sizes + 1)
    elements = len(point)
    leaves = np.concatenate([np.repeat(at_point, elements), near])
    which = np.concatenate([np.tile(np.arange(elements), len(at_point)), through])
    plain = ~trees.listed[which]
    low, high = begin[which] + trees.first[leaves, which], begin[which] + trees.last[leaves, which] + 1
    worth, length = trees.worth[leaves], int((trees.sizes + 1).sum())
    step = np.bincount(low[plain], worth[plain], length) - np.bincount(high[plain], worth[plain], length)
    sums = np.cumsum(step, dtype=np.float64)
    for element in np.flatnonzero(trees.listed).tolist():
        mine = leaves[which == element]
        part = slice(trees.offset[element], trees.offset[element] + trees.sizes[element])
        sums[begin[element] : begin[element] + trees.sizes[element]] = trees.worth[mine] @ trees.inside[mine, part]
    sums[begin + trees.sizes] = -np.inf
    place = int(sums.argmax())
    element = int(np.searchsorted(begin, place, side="right")) - 1
    return element, place - int(begin[element]), float(sums[place])


class _Division:
    """Branch and bound on the arrays of the leaves, many boxes at a time."""

    def __init__(self, trees: FreeTrees, limit: float) -> None:
        self.trees, self.limit = trees, limit
        self.count = int(trees.tree[-1]) + 1
        sums = np.cumsum(trees.inside, axis=1, dtype=np.int32)
        self.before = np.concatenate([np.zeros((len(sums), 1), dtype=np.int32), sums], axis=1)
        self.begin = np.cumsum(trees.sizes) - trees.sizes
        self.cells = int(trees.sizes.sum())

    def run(self, max_boxes: int) -> Answer:
        trees = self.trees
        low, high = np.zeros(len(trees.sizes), dtype=np.int64), trees.sizes - 1
        heap: list[tuple[float, int, Ints, Ints, Ints]] = [(-np.inf, 0, low, high, np.arange(len(trees.worth)))]
        boxes, number, batches = 0, 1, 0
        while heap:
            if boxes >= max_boxes:
                return Answer("open", None, boxes)
            batch: list[tuple[float, int, Ints, Ints, Ints]] = []
            held = 0
            while heap and len(batch) < TOGETHER and (not batch or held + len(heap[0][4]) <= MAX_LEAVES):
                batch.append(heapq.heappop(heap))
                held += len(batch[-1][4])
            boxes += len(batch)
            lows, highs = np.stack([one[2] for one in batch]), np.stack([one[3] for one in batch])
            leaves = [one[4] for one in batch]
            chosen, gain = self._best(leaves)
            first = np.maximum(trees.first[chosen].max(axis=1), lows)
            last = np.minimum(trees.last[chosen].min(axis=1), highs)
            point = self._common(first, last, chosen)
            if point is not None:
                return Answer("flip", point, boxes)
            batches += 1
            if batches < 4 or batches % 16 == 0:
                middle = np.where(
                    first[0] <= last[0],
                    np.clip(trees.own, first[0], last[0]),
                    self._median(chosen[0], lows[0], highs[0]),
                )
                found, value = ascend(trees, middle, self.limit)
                if value >= self.limit:
                    return Answer("flip", found, boxes)
            element, cut = self._cuts(chosen, gain, lows, highs)
            for children in self._divide(leaves, lows, highs, element, cut):
                for bound, low, high, inside in children:
                    heapq.heappush(heap, (-bound, number, low, high, inside))
                    number += 1
        return Answer("none", None, boxes)

    def _median(self, chosen: Ints, low: Ints, high: Ints) -> Ints:
        middle = np.sort(np.clip(self.trees.own, self.trees.first[chosen], self.trees.last[chosen]), axis=0)
        return np.clip(middle[len(middle) // 2], low, high)

    def _best(self, leaves: list[Ints]) -> tuple[Ints, Floats]:
        """Of each box and tree (box, tree) the leaf of the highest worth, and what it exceeds the tree's mean by."""
        joined = np.concatenate(leaves)
        worth, starts = self.trees.worth[joined], _starts(self._keys(leaves, joined))
        best = np.maximum.reduceat(worth, starts)
        sizes = np.diff(np.append(starts, len(joined)))
        hits = np.flatnonzero(worth == np.repeat(best, sizes))
        chosen = joined[hits[np.searchsorted(hits, starts)]]
        mean = np.add.reduceat(worth, starts) / sizes
        shape = (len(leaves), self.count)
        return chosen.reshape(shape), (best - mean).reshape(shape)

    def _keys(self, leaves: list[Ints], joined: Ints) -> Ints:
        box = np.repeat(np.arange(len(leaves)), [len(one) for one in leaves])
        return box * self.count + self.trees.tree[joined]

    def _common(self, first: Ints, last: Ints, chosen: Ints) -> Ints | None:
        """A point that all best leaves of a box have in common, for any of the boxes."""
        trees = self.trees
        for box in np.flatnonzero((first <= last).all(axis=1)).tolist():
            point = np.clip(trees.own, first[box], last[box])
            for element in np.flatnonzero(trees.listed).tolist():
                start = trees.offset[element]
                part = slice(start + first[box, element], start + last[box, element] + 1)
                shared = np.flatnonzero(trees.inside[chosen[box], part].all(axis=0))
                if not len(shared):
                    break
                point[element] = first[box, element] + shared[0]
            else:
                return point
        return None

    def _cuts(self, chosen: Ints, gain: Floats, lows: Ints, highs: Ints) -> tuple[Ints, Ints]:
        """Element and last cell of the left side of each box: both sides lose much of the best leaves."""
        trees, boxes, elements = self.trees, len(chosen), len(self.trees.sizes)
        begin, cells = self.begin, self.cells
        place = np.arange(boxes)[:, None, None] * cells + begin
        size = boxes * cells
        weight = np.broadcast_to(gain[:, :, None], (*gain.shape, elements)).ravel()
        firsts = np.bincount((place + np.maximum(trees.first[chosen], lows[:, None])).ravel(), weight, size)
        lasts = np.bincount((place + np.minimum(trees.last[chosen], highs[:, None])).ravel(), weight, size)
        total = gain.sum(axis=1)[:, None, None]
        score = np.full((boxes, cells), -1.0)
        firsts, lasts = firsts.reshape(boxes, cells), lasts.reshape(boxes, cells)
        for element in range(elements):
            part = slice(begin[element], begin[element] + trees.sizes[element])
            left = total[:, 0] - np.cumsum(
                firsts[:, part], axis=1
            )  # the left side loses leaves that begin after the cut
            right = np.cumsum(lasts[:, part], axis=1)  # the right side those that end at it or before
            found = np.minimum(left, right) + 1e-3 * np.maximum(left, right)
            cell = np.arange(trees.sizes[element])
            allowed = (cell >= lows[:, element : element + 1]) & (cell < highs[:, element : element + 1])
            score[:, part] = np.where(allowed, found, -1.0)
        best = score.argmax(axis=1)
        element = np.searchsorted(begin, best, side="right") - 1
        return element, best - begin[element]

    def _divide(
        self, leaves: list[Ints], lows: Ints, highs: Ints, element: Ints, cut: Ints
    ) -> list[list[tuple[float, Ints, Ints, Ints]]]:
        trees = self.trees
        joined = np.concatenate(leaves)
        box = np.repeat(np.arange(len(leaves)), [len(one) for one in leaves])
        own, at = element[box], cut[box]
        found = []
        for is_left in (True, False):
            low, high = lows.copy(), highs.copy()
            rows = np.arange(len(leaves))
            if is_left:
                high[rows, element] = cut
                alive = trees.first[joined, own] <= at
            else:
                low[rows, element] = cut + 1
                alive = trees.last[joined, own] > at
            sparse = np.flatnonzero(alive & trees.listed[own])
            if len(sparse):
                e, b, leaf = own[sparse], box[sparse], joined[sparse]
                start = trees.offset[e]
                inside = self.before[leaf, start + high[b, e] + 1] - self.before[leaf, start + low[b, e]]
                alive[sparse] = inside > 0
            kept, boxes = joined[alive], box[alive]
            starts = _starts(boxes * self.count + trees.tree[kept])
            bound = np.maximum.reduceat(trees.worth[kept], starts).reshape(len(leaves), self.count).sum(axis=1)
            edges = np.searchsorted(boxes, np.arange(len(leaves) + 1))
            found.append(
                [
                    (float(bound[one]), low[one], high[one], kept[edges[one] : edges[one + 1]])
                    for one in np.flatnonzero(bound >= self.limit).tolist()
                ]
            )
        return found


def _starts(keys: Ints) -> Ints:
    """Where a new key begins."""
    return np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
