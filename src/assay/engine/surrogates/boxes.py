# SPDX-License-Identifier: Apache-2.0
"""Rules as boxes: what they say in words, which rows they hold for, and their exact Shapley values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.coalitions.summary import Design, all_masks, exact_shapley


@dataclass(frozen=True, eq=False)
class Sheet:
    """The columns that rules are written in: numbers as they are, a yes or no for each level of a coded column.

    ``source`` (column,) is the table's column, ``level`` (column,) the code asked about (NaN for numbers), ``part``
    (column,) the part it belongs to. Numbers are rounded to float32 first, as trees do before they compare.
    """

    names: tuple[str, ...]
    source: Ints
    level: Floats
    part: Ints

    def __len__(self) -> int:
        return len(self.names)

    def write(self, x: Floats) -> Floats:
        """Rows (row, table's column) on the sheet (row, column)."""
        values = x[:, self.source]
        asked = values == self.level
        return np.where(np.isnan(self.level), values.astype(np.float32).astype(np.float64), asked.astype(np.float64))


def sheet_of(case: Case, other: Floats) -> Sheet:
    """The sheet for a table whose coded columns show the levels of ``other`` (row, column)."""
    table, index = case.rows.table, case.features.index
    names, source, level = [], [], []
    for column in np.flatnonzero(index >= 0):
        if table is not None:
            name = table.names[column]
        else:
            name = case.features.names[index[column]] if case.features.elementwise else f"column {column}"
        coded = table is not None and bool(table.coded[column])
        for code in np.unique(other[:, column]) if coded else [np.nan]:
            names.append(f"{name} is {table.show(int(column), code)}" if coded and table is not None else name)
            source.append(int(column))
            level.append(float(code))
    places = np.array(source, dtype=np.int64)
    return Sheet(tuple(names), places, np.array(level), index[places])


@dataclass(frozen=True, eq=False)
class Box:
    """``worth`` for rows with low < value ≤ high in every column (column,) of a sheet, 0 elsewhere."""

    low: Floats
    high: Floats
    worth: float

    def holds(self, written: Floats) -> Masks:
        """For which rows of the sheet (row,)."""
        return np.asarray(((written > self.low) & (written <= self.high)).all(axis=1))

    def within(self, other: Box) -> Box:
        """Where both hold, at this one's worth."""
        return Box(np.maximum(self.low, other.low), np.minimum(self.high, other.high), self.worth)

    @property
    def void(self) -> bool:
        """Whether no row can lie in it."""
        return bool((self.low >= self.high).any())

    @property
    def bound(self) -> Ints:
        """The columns that it bounds."""
        return np.flatnonzero((self.low > -np.inf) | (self.high < np.inf))

    def words(self, sheet: Sheet) -> str:
        """Its conditions, joined by "and"; empty where it has none."""
        told = []
        for column in self.bound:
            name, low, high = sheet.names[column], self.low[column], self.high[column]
            if not np.isnan(sheet.level[column]):
                told.append(name if low > -np.inf else name.replace(" is ", " is not ", 1))
            elif low > -np.inf and high < np.inf:
                told.append(f"{low:.6g} < {name} ≤ {high:.6g}")
            else:
                told.append(f"{name} > {low:.6g}" if low > -np.inf else f"{name} ≤ {high:.6g}")
        return " and ".join(told)


def everything(columns: int, worth: float = 0.0) -> Box:
    """The box without conditions."""
    return Box(np.full(columns, -np.inf), np.full(columns, np.inf), worth)


def first(rules: Sequence[Box], written: Floats) -> Ints:
    """Which rule holds first for each row of the sheet (row,); one always does."""
    return np.asarray(np.stack([rule.holds(written) for rule in rules]).argmax(axis=0))


def said(rules: Sequence[Box], written: Floats) -> Floats:
    """What the first rule that holds says of each row (row,)."""
    return np.array([rule.worth for rule in rules])[first(rules, written)]


def apart(rules: Sequence[Box]) -> list[Box]:
    """A list in which the first rule that holds counts, as signed boxes that add up: inclusion and exclusion."""
    found = []
    for place, rule in enumerate(rules):
        for size in range(place + 1):
            for before in combinations(rules[:place], size):
                box = Box(rule.low, rule.high, (-1.0) ** size * rule.worth)
                for other in before:
                    box = box.within(other)
                if not box.void:
                    found.append(box)
    return found


def shapley_of(boxes: Sequence[Box], sheet: Sheet, x: Floats, other: Floats, parts: int) -> tuple[Floats, float]:
    """Exact Shapley values (row, part) of a sum of boxes at ``x``, absent parts from each row of ``other``; the base.

    Both are written on the sheet. A box is a product over its parts, so that its coalitions need only them.
    """
    values, base = np.zeros((len(x), parts)), 0.0
    for box in boxes:
        bound = box.bound
        members = np.unique(sheet.part[bound])
        inside = [_by_part(box, sheet, bound, members, rows) for rows in (x, other)]
        masks = all_masks(len(members))
        game = np.empty((len(x), len(masks)))
        for place, mask in enumerate(masks):
            game[:, place] = inside[0][:, mask].all(axis=1) * inside[1][:, ~mask].all(axis=1).mean()
        values[:, members] += box.worth * exact_shapley.estimate(Design(masks), game).values
        base += box.worth * float(game[0, 0]) if len(x) else 0.0
    return values, base


def _by_part(box: Box, sheet: Sheet, bound: Ints, members: Ints, written: Floats) -> Masks:
    """Whether each part's conditions hold (row, member)."""
    held = (written > box.low) & (written <= box.high)
    return (
        np.stack([held[:, bound[sheet.part[bound] == part]].all(axis=1) for part in members], axis=1)
        if len(members)
        else np.ones((len(written), 0), dtype=bool)
    )
