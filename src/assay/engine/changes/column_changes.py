# SPDX-License-Identifier: Apache-2.0
"""Changes of few columns of a row that change the decision: exact for trees, by search for any other model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.boxes.allowed_changes import AllowedChanges
from assay.engine.boxes.minimal_change import Norm
from assay.engine.changes.change_report import change_report, note_of
from assay.engine.changes.choices import Answers, Best, Changes, Choices, Limits, random_changes, search_changes
from assay.engine.changes.column_rules import Column, ColumnRules, describe_changes
from assay.engine.search.threat import Goal, as_array
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import Note


@dataclass(eq=False)
class ColumnSearch:
    """The rows of a goal while their columns change. ``rows`` and ``x`` (row, column) are before and after.

    ``cost``, ``low``, ``queries`` (row,) are the cost of the changes, a proved lower bound of it, and the evaluations;
    ``proved`` says whose search ended with a proof, ``open`` whose boxes or queries ran out before a success.
    """

    goal: Goal
    rules: ColumnRules
    limits: Limits
    norm: Norm
    rows: Floats = field(init=False)
    x: Floats = field(init=False)
    cost: Floats = field(init=False)
    low: Floats = field(init=False)
    queries: Floats = field(init=False)
    proved: Masks = field(init=False)
    open: Masks = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.goal.case)
        self.rows = to_floats(self.goal.case.rows.x)
        self.x = self.rows.copy()
        self.cost, self.low, self.queries = np.zeros(count), np.zeros(count), np.zeros(count)
        self.proved, self.open = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)

    def movable(self, row: int) -> list[Column]:
        """The columns of a row that may change: missing numbers stay."""
        return [one for one in self.rules.columns if not np.isnan(self.rows[row, one.place])]

    def exact(self, which: Ints, max_nodes: int) -> tuple[Ints, tuple[Note, ...]]:
        """The cheapest changes of the rows by their trees; the rows that are still to be searched, and notes."""
        case, is_searchable = self.goal.case, self.goal.target is None or self.goal.classes == 2
        if max_nodes < 1 or case.model.forest is None or not is_searchable:
            return which, ()
        try:
            trees = AllowedChanges.of(case, self.rules.columns)
        except CapabilityError as error:
            return which, (Note("searched", f"no exact search, but one with evaluations: {error}"),)
        notes = self._unread(trees)
        decided = predicted_class(case.prediction, case.model.gives)
        for row in which.tolist():
            options = [trees.options(one, self.rows[row, one.place], self.rules) for one in self.movable(row)
                       if trees.moves(one)]  # fmt: skip
            found = trees.nearest(
                row, int(decided[row]), options, self.norm, self.limits.places, self.limits.cost, max_nodes
            )
            self.low[row], self.proved[row] = found.low, found.ended
            if found.ended and found.x is None:
                self.low[row] = np.inf
            if found.x is not None:
                self.x[row], self.cost[row] = found.x, found.distance
        return which[~self.proved[which]], notes

    def _unread(self, trees: AllowedChanges) -> tuple[Note, ...]:
        """A note on columns that the trees read in a way that has no cells: the proof leaves them as they are."""
        read = set(trees.forest.origin[trees.forest.column[trees.forest.column >= 0]].tolist())
        names = [one.name for one in self.rules.columns if one.place in read and not trees.moves(one)]
        text = f"the exact search leaves {', '.join(names)} unchanged, whose encoding both rises and falls"
        return (Note("columns-left-out", text),) if names else ()

    def search(self, which: Ints, candidates: int) -> None:
        """Search with evaluations, for rows whose exact search found nothing or is not known."""
        if candidates < 1:
            raise InputError(f"candidates={candidates}; at least 1 is needed.")
        case, goal = self.goal.case, self.goal
        tables = {row: self._table(row, candidates) for row in which.tolist()}
        choices = [tables[row][1] if row in tables else Choices((), 0.0) for row in range(len(case))]

        def evaluate(rows: Ints, requests: Sequence[Changes]) -> Answers:
            x = np.stack([self.changed(row, tables[row][0], one) for row, one in zip(rows.tolist(), requests)])
            outputs = to_floats(case.outputs(as_array(x, case.rows.x), rows))
            return goal.search_margins(outputs, rows), goal.successes(outputs, rows)

        for row, best in search_changes(choices, which.tolist(), evaluate, self.limits).items():
            self._take(row, tables[row], best)

    def _take(self, row: int, table: tuple[list[Floats], Choices], best: Best) -> None:
        total = table[1].cost(best.changes)
        is_known = not np.array_equal(self.x[row], self.rows[row], equal_nan=True)  # by trees, without a proof
        self.queries[row], self.open[row] = best.queries, best.spent and not best.success
        if not is_known or (best.success and total < self.cost[row]):
            self.x[row], self.cost[row] = self.changed(row, table[0], best.changes), total

    def _table(self, row: int, count: int) -> tuple[list[Floats], Choices]:
        """The values that each column of a row may get, and their costs."""
        own = self.rows[row]
        is_open = {one.place for one in self.movable(row)}
        values = [
            one.candidates(own[one.place], count) if one.place in is_open else np.empty(0) for one in self.rules.columns
        ]
        costs = [self.rules.cost(one, listed, own[one.place]) for one, listed in zip(self.rules.columns, values)]
        start = float(self.goal.search_margins(self.goal.case.prediction)[row])
        return values, Choices(tuple(costs), start, worst=self.norm == "linf")

    def changed(self, row: int, values: Sequence[Floats], changes: Changes) -> Floats:
        """The row after the changes."""
        x = self.rows[row].copy()
        for place, option in changes:
            x[self.rules.columns[place].place] = values[place][option]
        return x

    def by_chance(self, candidates: int) -> Floats:
        """The rows after as many random changes as were made, one where none was (row, column)."""
        found = self.rows.copy()
        for row, name in enumerate(self.goal.case.rows.ids):
            values, choices = self._table(row, candidates)
            count = max(1, int((self.x[row] != self.rows[row]).sum() - np.isnan(self.rows[row]).sum()))
            stream = self.goal.case.seed.child("columns", name).generator()
            found[row] = self.changed(row, values, random_changes(choices, count, self.limits.cost, stream))
        return found


def attack_columns(
    goal: Goal, rules: ColumnRules, limits: Limits, *, norm: Norm, candidates: int, max_nodes: int
) -> dict[str, Any]:
    """The fields of the result: the cheapest changes that are found, with what is proved of them."""
    case = goal.case
    search = ColumnSearch(goal, rules, limits, norm)
    at_start = goal.successes(case.prediction)
    left, notes = search.exact(np.flatnonzero(~at_start), max_nodes)
    stopped = np.zeros(len(case), dtype=bool)
    if max_nodes >= 1 and case.model.forest is not None and len(left) < (~at_start).sum():
        stopped[left] = True
    search.search(left, candidates)
    x = as_array(search.x, case.rows.x)
    found = change_report(
        goal,
        case.at(x),
        case.at(as_array(search.by_chance(candidates), case.rows.x)),
        inputs=_in_form(case, search.x),
        changes=[describe_changes(case, before, after) for before, after in zip(search.rows, search.x)],
        distance=search.cost,
        queries=search.queries,
        notes=(*notes, *_search_notes(case, search, stopped)),
        more={
            "max_columns": limits.places,
            "max_cost": limits.cost,
            "cost_of_a_change": rules.cost_text,
            "queries": limits.queries,
            "rows_proved": int(search.proved.sum()),
            "rows_proved_robust": int((search.proved & np.isinf(search.low)).sum()),
        },
        extra={"lower_bound": search.low},
        proved=search.proved,
    )
    lost = search.proved & np.isfinite(search.low) & ~at_start & ~found["success"]
    text = "the model keeps its class at the cheapest change of its trees, where scores tie up to rounding"
    return {**found, "notes": (*found["notes"], *note_of(case, "unconfirmed", text, lost))}


def _in_form(case: Case, x: Floats) -> Any:
    """The rows as a frame like the caller's; ``None`` where the rows were an array, which ``x`` is."""
    return None if case.rows.table is None else case.rows.in_callers_form(x)


def _search_notes(case: Case, search: ColumnSearch, stopped: Masks) -> tuple[Note, ...]:
    whole = [one.name for one in search.rules.columns if one.whole] if case.rows.table is None else []
    text = "the exact search ended at max_nodes: the rows were searched with evaluations, and nothing is proved"
    spent = "the evaluations ended before all changes were tried: more queries may find a success"
    kept = f"columns of whole numbers keep whole numbers: {', '.join(whole[:8])}{' …' if len(whole) > 8 else ''}"
    return (
        *((Note("whole-numbers", kept),) if whole else ()),
        *note_of(case, "stopped", text, stopped),
        *note_of(case, "queries-spent", spent, search.open),
    )
