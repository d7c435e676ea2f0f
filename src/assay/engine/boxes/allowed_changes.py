# SPDX-License-Identifier: Apache-2.0
"""The cheapest change of allowed columns, of numbers and of levels, that changes the decision of a forest: exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.boxes.cells import Cells, find_cells, with_elements
from assay.engine.boxes.decisions import Rival, rivals
from assay.engine.boxes.leaf_boxes import LeafBoxes
from assay.engine.boxes.minimal_change import Norm
from assay.engine.boxes.nearest_change import NearestChange, nearest_point
from assay.engine.changes.column_rules import Column, ColumnRules
from assay.engine.trees.tree_case import forest_of
from assay.model.forests.forest import Forest
from assay.nouns.inputs.rows import to_floats


@dataclass(frozen=True, eq=False)
class Options:
    """What one column of one row may become: ``values`` (option,) in ``cells`` (option,), at ``costs`` (option,).

    The option ``own`` is the row's value, at cost 0. Of a number there is one option for each cell that the row may
    reach, the cheapest value in it, in the order of the cells; of a level one for each level, its own first. Elements
    that follow the column have the values ``follow`` (by element, (option,)).
    """

    column: Column
    cells: Ints
    values: Floats
    costs: Floats
    own: int
    follow: Mapping[int, Floats] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Splits:
    """Trees as far as their splits go: ``element`` (node,) is the element of a row that is compared, −1 at leaves."""

    roots: Ints
    left: Ints
    right: Ints
    element: Ints


@dataclass(frozen=True, eq=False)
class AllowedChanges:
    """The forest of a case, cut at the thresholds of its trees; ``sides`` tell where each split sends each level.

    ``sides`` has, by element, the splits on it (node,) and whether each level goes left there (node, level).
    """

    case: Case
    forest: Forest
    cells: Cells
    sides: dict[int, tuple[Ints, Masks]]
    stays: Masks
    conditions: Callable[[int], list[Rival]]

    @staticmethod
    def of(case: Case, columns: Sequence[Column]) -> AllowedChanges:
        """The forest and its cells; ``CapabilityError`` where the model's decision is no comparison of its sums."""
        forest, table = forest_of(case), case.rows.table
        coded = np.zeros(int(case.rows.shape[0]), dtype=bool) if table is None else np.asarray(table.coded)
        cells = find_cells(forest, case.rows, coded)
        element = _elements(forest)
        sides = {}
        for column in columns:
            nodes = np.flatnonzero(element == column.place)
            if column.is_coded and len(nodes):
                codes = np.arange(level_count(case, column.place), dtype=np.float64)
                template = case.rows.take(np.array([0]))
                rows = with_elements(template, np.full(len(codes), column.place), codes)
                sides[column.place] = nodes, forest.goes_left(forest.matrix(rows))[nodes]
        known: dict[int, list[Rival]] = {}

        def conditions(label: int) -> list[Rival]:
            if label not in known:
                known[label] = rivals(case, forest, label)
            return known[label]

        conditions(0)
        return AllowedChanges(case, forest, cells, sides, forest.goes_left(forest.matrix(case.rows)), conditions)

    def moves(self, column: Column) -> bool:
        """Whether the trees read the column, in a way that is known."""
        return column.place in self.sides if column.is_coded else bool(self.cells.movable[column.place])

    def options(self, column: Column, own: float, rules: ColumnRules) -> Options:
        """What a column of a row with the value ``own`` may become."""
        if column.is_coded:
            assert column.allowed is not None
            values = np.concatenate([[own], column.allowed[column.fits(column.allowed, own)]])
            values = values[np.argsort(rules.cost(column, values, own), kind="stable")]
            cells, place = values.astype(np.int64), 0
        else:
            values, cells = self._numbers(column, own)
            place = int(np.flatnonzero(values == own)[0])
        return Options(column, cells, values, rules.cost(column, values, own), place)

    def _numbers(self, column: Column, own: float) -> tuple[Floats, Ints]:
        """The value nearest to ``own`` in each cell that has one which the column may take, and the cells."""
        ends = self.cells.ends[column.place]
        here = int(np.searchsorted(ends, own, side="left"))
        if column.allowed is not None:
            pool = np.append(column.allowed[column.fits(column.allowed, own)], own)
            pool = pool[np.argsort(np.abs(pool - own), kind="stable")]
            cells, first = np.unique(np.searchsorted(ends, pool, side="left"), return_index=True)
            return pool[first], cells
        low = np.concatenate([[-np.inf], np.nextafter(ends, np.inf)])
        high = np.append(ends, np.inf)
        low = np.maximum(low, own if column.rising else column.low)
        high = np.minimum(high, own if column.falling else column.high)
        low, high = np.maximum(low, column.low), np.minimum(high, column.high)
        if column.whole:
            low, high = np.ceil(low), np.floor(high)
        values = np.minimum(np.maximum(own, low), high)
        values[here] = own
        kept = (low <= high) & np.isfinite(values)
        kept[here] = True
        return values[kept], np.flatnonzero(kept)

    def nearest(
        self, row: int, predicted: int, options: Sequence[Options], norm: Norm, places: int, most: float, max_nodes: int
    ) -> NearestChange:
        """The cheapest change of a row by at most ``places`` columns at a cost of at most ``most``."""
        boxes = self.leaves(row, options)
        costs, own = tuple(one.costs for one in options), np.array([one.own for one in options], dtype=np.int64)
        limit = float(np.nextafter(most, np.inf))
        low, distance, cells, nodes, ended = nearest_point(
            self.forest, boxes, self.conditions(predicted), costs, own, norm, limit, max_nodes, places
        )
        if cells is None:
            return NearestChange(low, np.inf, None, nodes, ended)
        x = np.array(to_floats(self.case.rows.x)[row])
        for one, cell in zip(options, cells.tolist()):
            x[one.column.place] = one.values[cell]
        return NearestChange(low, distance, x, nodes, ended)

    def leaves(self, row: int, options: Sequence[Options]) -> LeafBoxes:
        """The leaves that a row can reach, as boxes of options: one box for each run of options that reach the leaf."""
        forest, element = self.forest, _elements(self.forest)
        local = {
            one.column.place: self._local(one.column.place, len(element)) for one in options if one.column.is_coded
        }

        def goes_left(one: Options, place: int, nodes: Ints) -> Masks:
            if place != one.column.place:
                cells = np.searchsorted(self.cells.ends[place], one.follow[place], side="left")
                return np.asarray(cells <= self.cells.last_left[nodes][:, None])
            if not one.column.is_coded:
                return np.asarray(one.cells <= self.cells.last_left[nodes][:, None])
            return np.asarray(self.sides[place][1][local[place][nodes]][:, one.cells])

        return option_boxes(
            Splits(forest.roots, forest.left, forest.right, element), options, goes_left, self.stays[:, row]
        )

    def _local(self, place: int, size: int) -> Ints:
        found = np.full(size, -1, dtype=np.int64)
        found[self.sides[place][0]] = np.arange(len(self.sides[place][0]))
        return found


def option_boxes(
    splits: Splits, options: Sequence[Options], goes_left: Callable[[Options, int, Ints], Masks], stays: Masks
) -> LeafBoxes:
    """The leaves of trees as boxes of options; ``goes_left`` gives the side of each option at nodes (node, option).

    Elements that no option moves go to the left where ``stays`` (node,) says so.
    """
    player_of = {place: player for player, one in enumerate(options) for place in (one.column.place, *one.follow)}
    ends = np.cumsum([0, *(len(one.values) for one in options)])
    at, tree = splits.roots, np.arange(len(splits.roots))
    reach = np.ones((len(at), int(ends[-1])), dtype=bool)
    found: list[tuple[Ints, Ints, Masks]] = []
    while len(at):
        leaf = splits.element[at] < 0
        found.append((tree[leaf], at[leaf], reach[leaf]))
        at, tree, reach = at[~leaf], tree[~leaf], reach[~leaf]
        passes = np.stack([reach, reach])  # to the left, to the right
        alive = np.stack([stays[at], ~stays[at]])
        for place in set(np.unique(splits.element[at]).tolist()) & set(player_of):
            player = player_of[place]
            here, part = np.flatnonzero(splits.element[at] == place), slice(ends[player], ends[player + 1])
            goes = goes_left(options[player], place, at[here])
            for side, mask in enumerate((goes, ~goes)):
                passes[side, here, part] &= mask
                alive[side, here] = passes[side, here, part].any(axis=1)
        children = [side[at[own]] for side, own in zip((splits.left, splits.right), alive)]
        tree, reach = np.concatenate([tree[own] for own in alive]), passes[alive]
        at = np.concatenate(children)
    trees, nodes, reached = (np.concatenate(part) for part in zip(*found))
    order = np.argsort(trees, kind="stable")
    return runs(trees[order], nodes[order], reached[order], ends, len(splits.roots))


def level_count(case: Case, place: int) -> int:
    """How many levels a coded column has so far, also those of other rows that were read."""
    level = None if case.rows.table is None else case.rows.table.levels[place]
    return 0 if level is None else len(level.values)


def _elements(forest: Forest) -> Ints:
    """The element of a row that each split reads (node,); −1 at leaves."""
    split = forest.column >= 0
    return np.where(split, forest.origin[np.where(split, forest.column, 0)], -1)


def runs(trees: Ints, nodes: Ints, reach: Masks, ends: Ints, count: int) -> LeafBoxes:
    """The leaves as boxes: a leaf that an interrupted row of options reaches becomes several boxes, which are apart."""
    first: list[Ints] = []
    last: list[Ints] = []
    for start, stop in zip(ends[:-1].tolist(), ends[1:].tolist()):
        part = np.pad(reach[:, start:stop], ((0, 0), (1, 1)))
        begins, stops = part[:, 1:-1] & ~part[:, :-2], part[:, 1:-1] & ~part[:, 2:]
        leaf, low = np.nonzero(begins)
        high = np.nonzero(stops)[1]
        first, last = [one[leaf] for one in first], [one[leaf] for one in last]
        trees, nodes, reach = trees[leaf], nodes[leaf], reach[leaf]
        first.append(low)
        last.append(high)
    shape = (len(trees), 0)
    boxes = [np.stack(one, axis=1).astype(np.int32) if one else np.zeros(shape, np.int32) for one in (first, last)]
    return LeafBoxes(boxes[0], boxes[1], nodes, np.searchsorted(trees, np.arange(count)))
