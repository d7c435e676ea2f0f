# SPDX-License-Identifier: Apache-2.0
"""Greedy points of sums of trees: they reach the limits, cost no less than the least, and move few players."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose

from assay.engine.boxes.greedy_point import GreedyPoint
from assay.engine.boxes.leaf_boxes import LeafBoxes
from assay.engine.boxes.minimal_change import Search, minimal_change

SIZES = (4, 3, 5)


def stumps(seed: int) -> tuple[LeafBoxes, np.ndarray, list[np.ndarray]]:
    """Ten trees that cut the cells of two players, the worth of their leaves, and the costs of the cells."""
    rng = np.random.default_rng(seed)
    first, last = [], []
    for _ in range(10):
        one, two = rng.choice(3, 2, replace=False)
        cuts = {int(player): int(rng.integers(1, SIZES[player])) for player in (one, two)}
        for sides in product((0, 1), repeat=2):
            low, high = [0, 0, 0], [size - 1 for size in SIZES]
            for (player, cut), side in zip(cuts.items(), sides):
                low[player], high[player] = (cut, high[player]) if side else (low[player], cut - 1)
            first.append(low)
            last.append(high)
    boxes = LeafBoxes(
        np.array(first, dtype=np.int32), np.array(last, dtype=np.int32), np.arange(40), np.arange(0, 40, 4)
    )
    costs = [np.abs(np.arange(size) - size // 2) * rng.uniform(0.5, 2) for size in SIZES]
    return boxes, rng.normal(size=40), costs


def sums(boxes: LeafBoxes, worth: np.ndarray) -> dict[tuple[int, ...], float]:
    points = list(product(*(range(size) for size in SIZES)))
    inside = [((boxes.first <= one) & (boxes.last >= one)).all(axis=1) for one in np.array(points)]
    return {point: float(worth[mask].sum()) for point, mask in zip(points, inside)}


@pytest.mark.parametrize("places", [None, 1, 2])
@pytest.mark.parametrize("seed", range(20))
def test_a_point_reaches_the_limit_and_costs_no_less_than_enumeration_says(seed: int, places: int | None) -> None:
    boxes, worth, costs = stumps(seed)
    known, own = sums(boxes, worth), np.array([size // 2 for size in SIZES])
    limit = float(np.quantile(list(known.values()), 0.97))

    def cost(point: tuple[int, ...]) -> float:
        return float(sum(one[cell] for one, cell in zip(costs, point)))

    allowed = [p for p in known if places is None or sum(c != o for c, o in zip(p, own)) <= places]
    least = min((cost(p) for p in allowed if known[p] >= limit), default=np.inf)
    found = GreedyPoint(boxes, [worth], [limit], costs, own, places).find()
    if found is not None:
        point = tuple(found.tolist())
        assert point in allowed
        assert known[point] >= limit - 1e-8
        assert cost(point) >= least - 1e-12
        others = [(*point[:j], cell, *point[j + 1 :]) for j, size in enumerate(SIZES) for cell in range(size)]
        assert all(cost(p) >= cost(point) - 1e-9 for p in others if p in allowed and known[p] >= limit)
    ended = minimal_change(Search(boxes, worth, limit, tuple(costs), own, "l1", places), 10_000)
    assert_allclose(ended.distance, least)


def test_most_limits_of_small_problems_are_reached() -> None:
    reached = 0
    for seed in range(40):
        boxes, worth, costs = stumps(seed)
        limit = float(np.quantile(list(sums(boxes, worth).values()), 0.8))
        own = np.array([size // 2 for size in SIZES])
        reached += GreedyPoint(boxes, [worth], [limit], costs, own, None).find() is not None
    assert reached >= 36
