# SPDX-License-Identifier: Apache-2.0
"""Cheap changes of a row after which any model decides as wanted, found by evaluations: never shown to be the cheapest.

A greedy search with a beam over values of the columns, and changes towards rows that the model decides for already;
then single changes are undone and numbers are moved back as far as the decision stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.engine.changes.choices import Answers, Changes, Choices, Limits, search_changes
from assay.engine.changes.column_rules import Column
from assay.engine.recourse.answers import Answer, Point
from assay.engine.recourse.plausibility import Plausibility, fit_plausibility
from assay.engine.recourse.question import ANY, Question, is_of_score
from assay.engine.search.threat import as_array
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import probabilities

CANDIDATES = 12
"""Values of a column that the search tries."""

BEAM = 3
"""Changes that are kept at each step of the search."""

NEIGHBOURS, MAX_REFERENCE = 5, 500
"""Rows decided as wanted that a row is moved to, and rows among which they are looked for."""

BISECTIONS = 20
"""Halvings of the way back to the row's own number."""

SMALLEST = 1e-300
"""A probability of 0 counts as this number in the search."""


@dataclass(eq=False)
class _Search:
    question: Question
    places: int
    plausible: Plausibility | None = field(init=False, default=None)
    evaluations: Ints = field(init=False)

    def __post_init__(self) -> None:
        question = self.question
        self.evaluations = np.zeros(len(question.case), dtype=np.int64)
        if question.plausible is not None:
            table = question.case.rows.table
            coded = np.zeros(question.rows.shape[1], dtype=bool) if table is None else np.asarray(table.coded)
            self.plausible = fit_plausibility(question.reference, coded, question.plausible, question.case.seed)

    def tried(self, x: Floats, which: Ints) -> Answers:
        """How far rows (line, column) are from the decision wanted for ``which``, and whether they have it."""
        question = self.question
        outputs = to_floats(question.case.outputs(as_array(x, question.case.rows.x), which))
        np.add.at(self.evaluations, which, 1)
        good = question.accepts(outputs, which)
        if self.plausible is not None:
            good &= self.plausible.depths(x) >= self.plausible.limit
        return -_lead(question, outputs, which), good

    def greedy(self, rows: Ints, columns: dict[int, list[Column]]) -> dict[int, tuple[Floats, tuple[int, ...]]]:
        """For rows with a success the changed row and the columns that are set."""
        question = self.question
        values = {
            row: [one.candidates(question.rows[row, one.place], CANDIDATES) for one in columns[row]]
            for row in rows.tolist()
        }
        start = -_lead(question, to_floats(question.case.prediction), np.arange(len(question.case)))
        choices = [
            Choices(tuple(self._costs(row, columns[row], values[row])), float(start[row]))
            if row in values
            else Choices((), 0.0)
            for row in range(len(question.case))
        ]

        def changed(row: int, changes: Changes) -> tuple[Floats, tuple[int, ...]]:
            x, set_places = question.rows[row].copy(), tuple(columns[row][place].place for place, _ in changes)
            for place, option in changes:
                x[columns[row][place].place] = values[row][place][option]
            return question.causes.follow(question.rows[row], x, set_places), set_places

        def evaluate(lines: Ints, requests: Sequence[Changes]) -> Answers:
            return self.tried(np.stack([changed(r, one)[0] for r, one in zip(lines.tolist(), requests)]), lines)

        limits = Limits(self.places, np.inf, question.max_nodes, BEAM)
        found = search_changes(choices, rows.tolist(), evaluate, limits)
        return {row: changed(row, best.changes) for row, best in found.items() if best.success}

    def _costs(self, row: int, columns: Sequence[Column], values: Sequence[Floats]) -> list[Floats]:
        own, rules = self.question.rows[row], self.question.rules
        return [rules.cost(one, listed, own[one.place]) for one, listed in zip(columns, values)]

    def cost(self, row: int, x: Floats, intervened: Sequence[int]) -> float:
        """The cost of the columns that are set."""
        own, rules = self.question.rows[row], self.question.rules
        by_place = {one.place: one for one in rules.columns}
        return float(sum(rules.cost(by_place[p], x[p : p + 1], float(own[p]))[0] for p in intervened))

    def neighbours(self, rows: Ints, columns: dict[int, list[Column]]) -> dict[int, tuple[Floats, tuple[int, ...]]]:
        """For each row the cheapest change to the values of a reference row by which it is decided as wanted."""
        question, some = self.question, self.question.reference[:MAX_REFERENCE]
        found: dict[int, tuple[Floats, tuple[int, ...]]] = {}
        for row in rows.tolist():
            own = question.rows[row]
            proposed: list[tuple[float, Floats, tuple[int, ...]]] = []
            fits = {one.place: one.fits(some[:, one.place], own[one.place]) for one in columns[row]}
            for one in columns[row]:
                if one.allowed is not None:
                    fits[one.place] &= np.isin(some[:, one.place], one.allowed)
            for line in range(len(some)):
                places = tuple(place for place, good in fits.items() if good[line])
                if not 0 < len(places) <= self.places:
                    continue
                x = own.copy()
                x[list(places)] = some[line, list(places)]
                proposed.append((self.cost(row, x, places), question.causes.follow(own, x, places), places))
            proposed.sort(key=lambda entry: entry[0])
            if not proposed:
                continue
            _, good = self.tried(np.stack([x for _, x, _ in proposed]), np.full(len(proposed), row))
            for place in np.flatnonzero(good)[:NEIGHBOURS].tolist():
                x, places = self.undone(row, proposed[place][1], proposed[place][2])
                if row not in found or self.cost(row, x, places) < self.cost(row, *found[row]):
                    found[row] = x, places
        return found

    def undone(self, row: int, x: Floats, intervened: tuple[int, ...]) -> tuple[Floats, tuple[int, ...]]:
        """Changes are taken back one at a time, the most expensive that may go first."""
        own = self.question.rows[row]
        while len(intervened) > 1:
            fewer = [tuple(p for p in intervened if p != out) for out in intervened]
            lines = np.stack([self.question.causes.follow(own, x, places) for places in fewer])
            _, good = self.tried(lines, np.full(len(lines), row))
            if not good.any():
                break
            costs = [self.cost(row, line, places) if ok else np.inf for line, places, ok in zip(lines, fewer, good)]
            best = int(np.argmin(costs))
            x, intervened = lines[best], fewer[best]
        return x, intervened

    def moved_back(self, row: int, x: Floats, intervened: tuple[int, ...]) -> Floats:
        """Each number that is set is moved back towards the row's own, the most expensive first, as far as possible."""
        question, own = self.question, self.question.rows[row]
        columns = {one.place: one for one in question.rules.columns}
        order = sorted(intervened, key=lambda place: -self.cost(row, x, [place]))
        for place in order:
            column = columns[place]
            if column.is_coded or column.allowed is not None:
                continue
            near, far = float(own[place]), float(x[place])
            for _ in range(BISECTIONS):
                middle = (near + far) / 2
                if column.whole:
                    middle = np.ceil(middle) if far > near else np.floor(middle)
                if middle in (near, far) or not column.fits(np.array([middle]), float(own[place]))[0]:
                    break
                line = x.copy()
                line[place] = middle
                line = question.causes.follow(own, line, intervened)
                if self.tried(line[None], np.array([row]))[1][0]:
                    x, far = line, middle
                else:
                    near = middle
        return x


def most_evaluations(columns: int, max_nodes: int, count: int = 1) -> int:
    """The most evaluations that the search of a row can take."""
    undone = (NEIGHBOURS + 2) * columns**2
    return count * (max_nodes + MAX_REFERENCE + undone + 2 * BISECTIONS * columns)


def search(question: Question, rows: Ints) -> dict[int, Answer]:
    """Cheap changes of the rows, each without enough of the changes of the cheaper ones; the bound is 0."""
    places = question.max_columns or len(question.rules.columns)
    searched = _Search(question, places)
    points: dict[int, list[Point]] = {row: [] for row in rows.tolist()}
    open_rows = rows
    for _ in range(question.count):
        columns = {row: _left(question, row, points[row]) for row in open_rows.tolist()}
        open_rows = np.array([row for row in open_rows.tolist() if columns[row]], dtype=np.int64)
        if not len(open_rows):
            break
        both = searched.greedy(open_rows, columns), searched.neighbours(open_rows, columns)
        reached = []
        for row in open_rows.tolist():
            found = [searched.undone(row, *one[row]) for one in both if row in one]
            ends = [(searched.moved_back(row, x, places), places) for x, places in found]
            if ends:
                x, places_set = min(ends, key=lambda end: searched.cost(row, *end))
                points[row].append(Point(x, searched.cost(row, x, places_set), places_set))
                reached.append(row)
        open_rows = np.array(reached, dtype=np.int64)
    return {
        row: Answer("feasible" if found else "undecided", tuple(sorted(found, key=lambda point: point.cost)), 0.0,
                    int(searched.evaluations[row]))
        for row, found in points.items()
    }  # fmt: skip


def _left(question: Question, row: int, kept: Sequence[Point]) -> list[Column]:
    """The columns that may change when at least ``differences`` of the changes of every point are left out."""
    out: set[int] = set()
    for point in kept:
        changed = [place for place in point.intervened if place not in out]
        missing = question.differences - (len(point.intervened) - len(changed))
        out |= set(changed[: max(0, missing)])
    return [one for one in question.movable(row) if one.place not in out]


def _lead(question: Question, outputs: Floats, which: Ints) -> Floats:
    """By how much the wanted class leads, in log-odds (in the score's own units where it is no probability)."""
    wanted, predicted = question.goal[which], question.predicted[which]
    if max(2, outputs.shape[1]) == 2:
        score, limit = question.score(outputs)
        score, limit = (
            (score, limit)
            if is_of_score(question.case.model.kind)
            else (_log_odds(score), float(_log_odds(np.array(limit))))
        )
        last = np.where(wanted == ANY, 1 - predicted, wanted) == 1
        return np.nan_to_num(np.where(last, score - limit, limit - score), nan=-np.inf)
    logs = np.log(np.maximum(to_floats(probabilities(outputs, question.case.model.kind)), SMALLEST))
    line = np.arange(len(outputs))
    own = np.where(wanted == ANY, predicted, wanted)
    others: Masks = np.ones(logs.shape, dtype=bool)
    others[line, own] = False
    lead = logs[line, own] - np.where(others, logs, -np.inf).max(axis=1)
    return np.nan_to_num(np.where(wanted == ANY, -lead, lead), nan=-np.inf)


def _log_odds(share: Floats) -> Floats:
    return np.log(np.maximum(share, SMALLEST)) - np.log(np.maximum(1 - share, SMALLEST))
