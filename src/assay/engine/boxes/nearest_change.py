# SPDX-License-Identifier: Apache-2.0
"""The nearest inputs of another class for the rows of a case whose model is a forest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.boxes.cells import find_cells
from assay.engine.boxes.decisions import Rival, rivals
from assay.engine.boxes.leaf_boxes import LeafBoxes, leaf_boxes
from assay.engine.boxes.minimal_change import Norm, Search, minimal_change
from assay.engine.search.ball import Ball
from assay.engine.trees.tree_case import forest_of
from assay.model.forests.forest import Forest
from assay.nouns.inputs.rows import to_floats

ROUNDING = 1e-9
"""Share of the size of the sums within which two of them count as equal."""


@dataclass(frozen=True, eq=False)
class NearestChange:
    """``low`` is a proved lower bound of the distance; ``x`` (column,) the nearest input found, ``distance`` away.

    Without one ``distance`` is infinite and ``x`` is ``None``. ``ended`` says that the search left nothing open.
    """

    low: float
    distance: float
    x: Floats | None
    nodes: int
    ended: bool


def nearest_changes(case: Case, predicted: Ints, ball: Ball, max_nodes: int) -> list[NearestChange]:
    """For each row the nearest input within the ball that the forest puts into another class than ``predicted``."""
    forest = forest_of(case)
    x = np.asarray(to_floats(case.rows.x))
    ball.check_bounds(case.rows.x)
    table = case.rows.table
    coded = np.zeros(x.shape[1], dtype=bool) if table is None else np.asarray(table.coded)
    cells = find_cells(forest, case.rows, coded)
    own, scale = cells.of_values(x), np.array(ball.scale or (1.0,) * x.shape[1])
    if not (cells.movable & (scale > 0)).any():
        raise CapabilityError(
            "no column can be moved: all are text, categories or booleans, are encoded by functions that both rise and "
            "fall, or have scale 0."
        )
    left = forest.goes_left(forest.matrix(case.rows))
    conditions = {label: rivals(case, forest, label) for label in np.unique(predicted).tolist()}
    found = []
    for row in range(len(x)):
        players = np.flatnonzero(cells.movable & (scale > 0) & ~np.isnan(x[row]))
        boxes = leaf_boxes(forest, cells, players, left[:, row])
        values = [cells.nearest_values(one, x[row, one]) for one in players.tolist()]
        costs = [_costs(v, x[row, one], scale[one], ball) for v, one in zip(values, players.tolist())]
        norm: Norm = "l1" if ball.norm == "l0" else ball.norm
        limit = float(np.nextafter(ball.radius, np.inf))
        one = nearest_point(
            forest, boxes, conditions[int(predicted[row])], tuple(costs), own[row, players], norm, limit, max_nodes
        )
        found.append(_change(x[row], players, values, *one))
    return found


def _costs(values: Floats, own: float, scale: float, ball: Ball) -> Floats:
    """The distance of each cell, 1 for any change under ``l0``; infinite beyond the ball and outside its bounds."""
    distance = (values != own).astype(np.float64) if ball.norm == "l0" else np.abs(values - own) / scale
    return np.where((values >= ball.low) & (values <= ball.high) & (distance <= ball.radius), distance, np.inf)


def nearest_point(
    forest: Forest,
    boxes: LeafBoxes,
    conditions: list[Rival],
    costs: tuple[Floats, ...],
    own: Ints,
    norm: Norm,
    limit: float,
    max_nodes: int,
    places: int | None = None,
) -> tuple[float, float, Ints | None, int, bool]:
    """Lower bound, distance, cells, boxes searched and whether the search ended, over all other classes.

    Distances of at least ``limit`` count as none, and with ``places`` changes of more players.
    """
    low, best, cells, nodes, ended = limit, limit, None, 0, True
    for rival in conditions:
        worth = forest.value[boxes.node] @ rival.weights
        rounding = ROUNDING * (1 + abs(rival.limit) + np.maximum.reduceat(np.abs(worth), boxes.starts).sum())
        needed = rival.limit - float(forest.base @ rival.weights) + (-rounding if rival.ties else rounding)
        found = minimal_change(Search(boxes, worth, needed, costs, own, norm, places), max_nodes, best)
        nodes += found.nodes
        low, ended = min(low, found.low), ended and found.low >= min(best, found.distance)
        if found.cells is not None:
            best, cells = found.distance, found.cells
    return min(low, best), best if cells is not None else np.inf, cells, nodes, ended


def _change(
    x: Floats,
    players: Ints,
    values: list[Floats],
    low: float,
    distance: float,
    cells: Ints | None,
    nodes: int,
    ended: bool,
) -> NearestChange:
    if cells is None:
        return NearestChange(low, np.inf, None, nodes, ended)
    moved = x.copy()
    moved[players] = [one[cell] for one, cell in zip(values, cells.tolist())]
    return NearestChange(low, distance, moved, nodes, ended)
