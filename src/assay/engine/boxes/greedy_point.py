# SPDX-License-Identifier: Apache-2.0
"""A cheap point at which sums of trees reach their limits: greedy changes of one player at a time, no proof."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assay.basics.types import Floats, Ints
from assay.engine.boxes.leaf_boxes import LeafBoxes

STEPS = 60
"""Changes of one player, at most, until the limits are reached, and as many afterwards that lower the cost."""


class GreedyPoint:
    """Steps from the row ``own`` (player,): the most of what is missing per cost, then the cheapest that still reaches.

    ``worths`` and ``limits`` hold for each condition what a leaf adds (leaf,) and the sum that is needed; ``costs`` the
    cost of each cell of each player. At most ``places`` players move.
    """

    def __init__(
        self,
        boxes: LeafBoxes,
        worths: Sequence[Floats],
        limits: Sequence[float],
        costs: Sequence[Floats],
        own: Ints,
        places: int | None,
    ) -> None:
        self.boxes, self.worths, self.own, self.places = boxes, worths, own, places
        self.limits = np.array(limits)
        self.sizes = np.array([1e-12 + float(np.abs(one).max(initial=0.0)) for one in worths])
        counts = np.array([len(one) for one in costs], dtype=np.int64)
        self.begin = np.cumsum(counts) - counts
        self.costs = np.concatenate([*costs, np.empty(0)])
        self.player = np.repeat(np.arange(len(counts)), counts)
        self.cell = np.arange(len(self.costs)) - self.begin[self.player]

    def find(self) -> Ints | None:
        """The cells (player,) of the point, or ``None`` where the steps end before the limits are reached."""
        point = self.own.astype(np.int64)
        if not len(self.costs):
            return None
        reached = False
        for _ in range(2 * STEPS):
            missing = self._missing(point)
            added = self.costs - self.costs[self.begin + point][self.player]
            added = np.where(self._moves(point), added, np.inf)
            good = np.flatnonzero((missing <= 0) & np.isfinite(added))
            if len(good):
                best = int(good[np.argmin(added[good])])
                if reached and not added[best] < -1e-12:
                    break
                reached = True
            elif reached:
                break
            else:
                now = float(missing[self.begin[0] + point[0]])
                gain = np.where(np.isfinite(added), now - missing, 0.0)
                best = int(np.argmax(np.where(gain > 1e-12, gain / np.maximum(added, 1e-9), -np.inf)))
                if not gain[best] > 1e-12:
                    return None
            point[self.player[best]] = self.cell[best]
        return point if reached else None

    def _moves(self, point: Ints) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Whether no more players than may move have moved after each single change."""
        if self.places is None:
            return np.ones(len(self.costs), dtype=bool)
        moved = self.costs[self.begin + point] > 0
        return np.asarray(moved.sum() - moved[self.player] + (self.costs > 0) <= self.places)

    def _missing(self, point: Ints) -> Floats:
        """What is missing to all limits after each single change of the point (cell,), in units of the largest leaf."""
        outside = (self.boxes.first > point) | (self.boxes.last < point)
        misses = outside.sum(axis=1)
        at_point, near = np.flatnonzero(misses == 0), np.flatnonzero(misses == 1)
        through, players = outside[near].argmax(axis=1), len(point)
        leaves = np.concatenate([np.repeat(at_point, players), near])
        which = np.concatenate([np.tile(np.arange(players), len(at_point)), through])
        begin = self.begin + np.arange(players)  # one cell more for each player, where its last leaves end
        low, high = begin[which] + self.boxes.first[leaves, which], begin[which] + self.boxes.last[leaves, which] + 1
        length, kept = len(self.costs) + players, np.arange(len(self.costs)) + self.player
        found = np.zeros(len(self.costs))
        for worth, limit, size in zip(self.worths, self.limits, self.sizes):
            step = np.bincount(low, worth[leaves], length) - np.bincount(high, worth[leaves], length)
            missing = (limit - np.cumsum(step)[kept]) / size
            found += np.where(missing <= 1e-9, 0.0, missing)
        return found
