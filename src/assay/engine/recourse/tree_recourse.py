# SPDX-License-Identifier: Apache-2.0
"""The cheapest changes of a row after which a forest decides as wanted: exact, by best-first search over boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats, Ints, Masks
from assay.engine.boxes.allowed_changes import AllowedChanges, Options, runs
from assay.engine.boxes.decisions import Rival
from assay.engine.boxes.leaf_boxes import LeafBoxes
from assay.engine.boxes.minimal_change import Condition, Search, minimal_change
from assay.engine.boxes.nearest_change import ROUNDING
from assay.engine.changes.column_rules import Column, column_names
from assay.engine.recourse.answers import Answer, Point, Status
from assay.engine.recourse.plausibility import Plausibility, fit_plausibility
from assay.engine.recourse.question import Question
from assay.nouns.inputs.output_kind import OutputKind

NUDGES = np.concatenate([[0.0], np.outer([-1.0, 1.0], 2.0 ** np.arange(-52, -38)).ravel()])
"""Relative changes of a value at which a column that follows crosses a threshold, tried until it does."""


@dataclass(eq=False)
class TreeRecourse:
    """The search for every row of a question; ``CapabilityError`` where the decision is no comparison of sums."""

    question: Question

    def __post_init__(self) -> None:
        question = self.question
        self.trees = AllowedChanges.of(question.case, question.rules.columns)
        self.summed, self.size = OutputKind.of(self.trees.forest.gives), self.trees.forest.value.shape[1]
        self.plausible: Plausibility | None = None
        if question.plausible is not None:
            table = question.case.rows.table
            coded = np.zeros(question.rows.shape[1], dtype=bool) if table is None else np.asarray(table.coded)
            self.plausible = fit_plausibility(question.reference, coded, question.plausible, question.case.seed)

    def answer(self, row: int) -> Answer:
        """The cheapest changes of a row, each without enough of the changes of the cheaper ones."""
        points: list[Point] = []
        status: Status = "undecided"
        low, nodes = 0.0, 0
        for number in range(self.question.count):
            found, bound, searched, ended = self._cheapest(row, points)
            nodes += searched
            if number == 0:
                low = bound
                status = "optimal" if found is not None and ended else "feasible" if found is not None else "undecided"
                status = "infeasible" if found is None and ended else status
            if found is None:
                break
            points.append(found)
        return Answer(status, tuple(points), np.inf if status == "infeasible" else low, nodes)

    def _cheapest(self, row: int, kept: Sequence[Point]) -> tuple[Point | None, float, int, bool]:
        """The cheapest point, a lower bound of its cost, the boxes searched, and whether the search left nothing."""
        question, trees = self.question, self.trees
        own = question.rows[row]
        columns = [one for one in question.movable(row) if self._matters(one)]
        best, low, nodes, ended = None, np.inf, 0, True
        for places in question.causes.interventions([one.place for one in columns]):
            if len(question.causes.edges):
                combined = self._combined(places)
                if combined:
                    ended, low = False, 0.0
                    continue
            options = [self._options(one, places, own) for one in columns if one.place in places]
            boxes = trees.leaves(row, options)
            more, sums = self._more(row, options, kept)
            for alternative in question.conditions(row, self.summed, self.size):
                limit = np.inf if best is None else best.cost
                left = max(1, question.max_nodes - nodes)
                found = minimal_change(self._search(boxes, more, sums, alternative, options), left, limit)
                nodes += found.nodes
                low, ended = min(low, found.low), ended and found.low >= min(limit, found.distance)
                if found.cells is not None:
                    best = self._point(own, options, found.cells, found.distance)
        return best, low if best is None else min(low, best.cost), nodes, ended

    def _matters(self, column: Column) -> bool:
        """Whether the trees read the column, or one that follows it, in a way that is known."""
        effects = self.question.causes.effects([column.place])[:, 0]
        return self.trees.moves(column) or any(
            len(self.trees.cells.ends[place]) > 0 for place in np.flatnonzero(effects).tolist() if place != column.place
        )

    def _combined(self, places: Sequence[int]) -> bool:
        """Whether a column that the trees read follows several of the columns that are set."""
        effects = self.question.causes.effects(places)
        read = [place for place, ends in enumerate(self.trees.cells.ends) if len(ends) and place not in places]
        return bool(((effects[read] != 0).sum(axis=1) > 1).any()) if len(places) else False

    def _options(self, column: Column, places: Sequence[int], own: Floats) -> Options:
        """What a column may become, with the values of the columns that follow it."""
        rules, cells = self.question.rules, self.trees.cells
        base = self.trees.options(column, own[column.place], rules)
        if not len(self.question.causes.edges):
            return base
        effects = self.question.causes.effects(places)[:, list(places).index(column.place)]
        effects[list(places)] = 0.0
        followers = [p for p in np.flatnonzero(effects).tolist() if not np.isnan(own[p]) and len(self._ends(p))]
        if not followers:
            return base
        here = own[column.place]
        values = [base.values]
        for place in followers if column.allowed is None else []:
            at = here + (cells.ends[place] - own[place]) / effects[place]
            near = (at[:, None] * (1 + NUDGES)).ravel()
            values.append(np.concatenate([np.floor(near), np.ceil(near)]) if column.whole else near)
        if column.allowed is not None:
            values.append(column.allowed)
        candidates = np.unique(np.concatenate(values))
        candidates = np.append(candidates[column.fits(candidates, here)], here)
        costs = rules.cost(column, candidates, here)
        order = np.argsort(costs, kind="stable")
        candidates, costs = candidates[order], costs[order]
        moved = {place: own[place] + effects[place] * (candidates - here) for place in followers}
        known = {column.place: candidates, **moved}
        keys = np.stack([np.searchsorted(cells.ends[p], v, side="left") for p, v in known.items()], axis=1)
        first = np.sort(np.unique(keys, axis=0, return_index=True)[1])  # of each combination of cells the cheapest
        first = first[np.argsort(candidates[first], kind="stable")]
        chosen = candidates[first]
        return Options(
            column, keys[first, 0], chosen, costs[first], int(np.flatnonzero(chosen == here)[0]),
            {place: one[first] for place, one in moved.items()},
        )  # fmt: skip

    def _ends(self, place: int) -> Floats:
        """The thresholds of a column that follows; ``CapabilityError`` where its cells are not known."""
        read = set(self.trees.forest.origin[self.trees.forest.column[self.trees.forest.column >= 0]].tolist())
        if place in read and not self.trees.cells.movable[place]:
            name = column_names(self.question.case)[place]
            raise CapabilityError(f"{name!r} follows other columns, but the trees read it through an encoding.")
        return self.trees.cells.ends[place]

    def _more(self, row: int, options: Sequence[Options], kept: Sequence[Point]) -> tuple[list[LeafBoxes], list[_Sum]]:
        """Further trees, and sums over them: how typical the row is, and what it leaves out of what is kept."""
        boxes, sums = [], []
        if self.plausible is not None:
            found = self.plausible.boxes(self.question.rows[row], options)
            boxes.append(found)
            sums.append(_Sum(len(boxes) - 1, self.plausible.depth[found.node], self.plausible.limit))
        for point in kept:
            stumps, worth, needed = self._left_out(row, options, point)
            boxes.append(stumps)
            sums.append(_Sum(len(boxes) - 1, worth, needed))
        return boxes, sums

    def _left_out(self, row: int, options: Sequence[Options], point: Point) -> tuple[LeafBoxes, Floats, float]:
        """One stump for each change of the point, worth 1 where it is left out, and how many have to be."""
        own, ends = self.question.rows[row], np.cumsum([0, *(len(one.values) for one in options)])
        reach, worth, others = [], [], 0
        player_of = {one.column.place: player for player, one in enumerate(options)}
        changed = point.changed(own)
        for place in changed:
            if place not in player_of:
                others += 1
                continue
            one, player = options[player_of[place]], player_of[place]
            same: Masks = one.values == point.x[place]
            if not one.column.is_coded:
                same = one.values > own[place] if point.x[place] > own[place] else one.values < own[place]
            for keeps in (True, False):
                mask = np.ones(int(ends[-1]), dtype=bool)
                mask[ends[player] : ends[player + 1]] = same == keeps
                if mask[ends[player] : ends[player + 1]].any():
                    reach.append(mask)
                    worth.append((len(reach), player, 0.0 if keeps else 1.0))
        trees = np.array([player for _, player, _ in worth], dtype=np.int64)
        number = np.unique(trees, return_inverse=True)[1].ravel() if len(trees) else trees
        count = int(number.max(initial=-1)) + 1
        masks = np.stack(reach) if reach else np.zeros((0, int(ends[-1])), dtype=bool)
        found = runs(number, np.arange(len(masks)), masks, ends, count)
        values = np.array([one for _, _, one in worth])
        needed = min(self.question.differences, len(changed)) - others
        return found, values[found.node] if count else np.empty(0), float(needed) - 0.5

    def _search(
        self,
        boxes: LeafBoxes,
        more: Sequence[LeafBoxes],
        sums: Sequence[_Sum],
        rivals: Sequence[Rival],
        options: Sequence[Options],
    ) -> Search:
        every = [boxes, *more]
        counts = np.cumsum([0, *(len(one.node) for one in every)])
        joined = LeafBoxes(
            np.concatenate([one.first for one in every]),
            np.concatenate([one.last for one in every]),
            np.concatenate([one.node for one in every]),
            np.concatenate([one.starts + start for one, start in zip(every, counts.tolist())]),
        )

        def padded(which: int, worth: Floats) -> Floats:
            found = np.zeros(int(counts[-1]))
            found[counts[which] : counts[which + 1]] = worth
            return found

        conditions = [Condition(padded(0, worth), limit) for worth, limit in (self._limit(boxes, r) for r in rivals)]
        conditions += [Condition(padded(one.boxes + 1, one.worth), one.limit) for one in sums]
        own = np.array([one.own for one in options], dtype=np.int64)
        costs, first = tuple(one.costs for one in options), conditions[0]
        return Search(
            joined, first.worth, first.limit, costs, own, "l1", self.question.max_columns, tuple(conditions[1:])
        )

    def _limit(self, boxes: LeafBoxes, rival: Rival) -> tuple[Floats, float]:
        forest = self.trees.forest
        worth = forest.value[boxes.node] @ rival.weights
        rounding = ROUNDING * (1 + abs(rival.limit) + np.maximum.reduceat(np.abs(worth), boxes.starts).sum())
        return worth, rival.limit - float(forest.base @ rival.weights) + (-rounding if rival.ties else rounding)

    def _point(self, own: Floats, options: Sequence[Options], cells: Ints, cost: float) -> Point:
        x = own.copy()
        for one, cell in zip(options, cells.tolist()):
            x[one.column.place] = one.values[cell]
        return self.question.point(own, x, [one.column.place for one in options], cost)

    def rows(self, which: Ints) -> dict[int, Answer]:
        """The answers of rows."""
        return {row: self.answer(row) for row in which.tolist()}


@dataclass(frozen=True, eq=False)
class _Sum:
    """A sum over the leaves of the further trees number ``boxes`` that has to reach ``limit``."""

    boxes: int
    worth: Floats
    limit: float
