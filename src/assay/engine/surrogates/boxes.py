# SPDX-License-Identifier: Apache-2.0
"""Rules as boxes: the rows that match a rule, its text, and the exact Shapley values of a sum of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.coalitions.estimator import Design, all_masks, exact_shapley
from assay.nouns.inputs.rows import to_floats

LOWEST = -float(np.finfo(np.float32).max)
"""What stands for a missing number, below all others."""

BELOW_ALL = LOWEST / 4
"""A threshold up to which only ``LOWEST`` lies: no table holds such numbers, and a tree cuts halfway."""


@dataclass(frozen=True, eq=False)
class RuleColumns:
    """The columns that conditions of rules refer to: numbers as they are, one 0/1 column per level of a coded column.

    ``source`` (column,) is the table's column, ``level`` (column,) the code of the level (NaN for numbers), ``part``
    (column,) the feature it belongs to. Numbers are rounded to float32, as trees do before they compare.
    """

    names: tuple[str, ...]
    source: Ints
    level: Floats
    part: Ints
    gaps: Masks

    def __len__(self) -> int:
        return len(self.names)

    def encode(self, x: Floats) -> Floats:
        """Rows (row, table's column) in the rule columns (row, column)."""
        values = x[:, self.source]
        is_level = (values == self.level).astype(np.float64)
        numbers = np.where(np.isnan(values), LOWEST, values.astype(np.float32).astype(np.float64))
        return np.where(np.isnan(self.level), numbers, is_level)


def rule_columns(case: Case, background: Floats) -> RuleColumns:
    """The rule columns of a case; coded columns have the levels that occur in ``background`` (row, column)."""
    table, index = case.rows.table, case.features.index
    names, source, level = [], [], []
    for column in np.flatnonzero(index >= 0):
        if table is not None:
            name = table.names[column]
        else:
            name = case.features.names[index[column]] if case.features.elementwise else f"column {column}"
        coded = table is not None and bool(table.coded[column])
        for code in np.unique(background[:, column]) if coded else [np.nan]:
            names.append(f"{name} is {table.format_cell(int(column), code)}" if coded and table is not None else name)
            source.append(int(column))
            level.append(float(code))
    sources = np.array(source, dtype=np.int64)
    missing = (np.isnan(background) | np.isnan(to_floats(case.rows.x)).any(axis=0)).any(axis=0)
    return RuleColumns(tuple(names), sources, np.array(level), index[sources], missing[sources])


def word_columns(words: Sequence[str]) -> RuleColumns:
    """The rule columns of one raw text: whether each of its words is present."""
    names = [
        f"{word!r} is present" if words.count(word) == 1 else f"{word!r} (word {i + 1}) is present"
        for i, word in enumerate(words)
    ]
    numbers = np.arange(len(words))
    return RuleColumns(tuple(names), numbers, np.ones(len(words)), numbers, np.zeros(len(words), dtype=bool))


@dataclass(frozen=True, eq=False)
class Box:
    """``value`` for rows with low < x ≤ high in every rule column (column,), 0 elsewhere."""

    low: Floats
    high: Floats
    value: float

    def contains(self, encoded: Floats) -> Masks:
        """Whether each encoded row lies in the box (row,)."""
        return np.asarray(((encoded > self.low) & (encoded <= self.high)).all(axis=1))

    def intersect(self, other: Box) -> Box:
        """The intersection of both boxes, with this one's value."""
        return Box(np.maximum(self.low, other.low), np.minimum(self.high, other.high), self.value)

    @property
    def is_empty(self) -> bool:
        """Whether no row can lie in the box."""
        return bool((self.low >= self.high).any())

    @property
    def bounded_columns(self) -> Ints:
        """The columns with a finite bound."""
        return np.flatnonzero((self.low > -np.inf) | (self.high < np.inf))

    def describe(self, columns: RuleColumns) -> str:
        """The conditions as text, joined by "and"; empty without conditions."""
        conditions = []
        for column in self.bounded_columns:
            name, low, high = columns.names[column], self.low[column], self.high[column]
            if not np.isnan(columns.level[column]):
                conditions.append(name if low > -np.inf else name.replace(" is ", " is not ", 1))
            else:
                conditions.append(_describe_bounds(name, float(low), float(high), bool(columns.gaps[column])))
        return " and ".join(conditions)


def _describe_bounds(name: str, low: float, high: float, gaps: bool) -> str:
    """Bounds of a number as text; with ``gaps``, whether they include missing ones."""
    if gaps and high <= BELOW_ALL:
        return f"{name} is missing"
    if gaps and -np.inf < low <= BELOW_ALL:
        return f"{name} is not missing" if high == np.inf else f"{name} ≤ {high:.6g}"
    if low > -np.inf and high < np.inf:
        return f"{low:.6g} < {name} ≤ {high:.6g}"
    if low > -np.inf:
        return f"{name} > {low:.6g}"
    return f"({name} ≤ {high:.6g} or missing)" if gaps else f"{name} ≤ {high:.6g}"


def unbounded_box(columns: int, value: float = 0.0) -> Box:
    """The box without conditions."""
    return Box(np.full(columns, -np.inf), np.full(columns, np.inf), value)


def tree_boxes(tree: Any, columns: int, *, inner: bool = False) -> dict[int, Box]:
    """The box of each leaf of a scikit-learn ``tree_`` by the leaf's number, with its value, left before right.

    With ``inner`` also the box of each inner node, before those of its children; the root has no conditions.
    """
    boxes, pending = dict[int, Box](), [(0, unbounded_box(columns))]
    while pending:
        node, box = pending.pop()
        left, right = int(tree.children_left[node]), int(tree.children_right[node])
        if left < 0 or inner:
            boxes[node] = Box(box.low, box.high, float(tree.value[node, 0, 0]))
        if left < 0:
            continue
        column, cut = int(tree.feature[node]), float(tree.threshold[node])
        low, high = box.low.copy(), box.high.copy()
        high[column], low[column] = min(high[column], cut), max(low[column], cut)
        pending += [(right, Box(low, box.high, 0.0)), (left, Box(box.low, high, 0.0))]
    return boxes


def first_match(rules: Sequence[Box], encoded: Floats) -> Ints:
    """Number of the first matching rule for each encoded row (row,); the last rule must match every row."""
    return np.asarray(np.stack([rule.contains(encoded) for rule in rules]).argmax(axis=0))


def predict(rules: Sequence[Box], encoded: Floats) -> Floats:
    """The value of the first matching rule for each encoded row (row,)."""
    return np.array([rule.value for rule in rules])[first_match(rules, encoded)]


def signed_boxes(rules: Sequence[Box]) -> list[Box]:
    """A decision list (the first matching rule counts) as signed boxes that add up: inclusion and exclusion."""
    found = []
    for position, rule in enumerate(rules):
        for size in range(position + 1):
            for earlier in combinations(rules[:position], size):
                box = Box(rule.low, rule.high, (-1.0) ** size * rule.value)
                for other in earlier:
                    box = box.intersect(other)
                if not box.is_empty:
                    found.append(box)
    return found


def box_shapley(
    boxes: Sequence[Box], columns: RuleColumns, x: Floats, background: Floats, parts: int
) -> tuple[Floats, float]:
    """Exact Shapley values (row, part) of a sum of boxes at ``x``, marginal over ``background``; and the base.

    Both arrays are encoded. A box is a product over its features, so only coalitions of these are evaluated.
    """
    values, base = np.zeros((len(x), parts)), 0.0
    for box in boxes:
        bounded = box.bounded_columns
        members = np.unique(columns.part[bounded])
        present, absent = (_conditions_hold(box, columns, bounded, members, rows) for rows in (x, background))
        masks = all_masks(len(members))
        game = np.empty((len(x), len(masks)))
        for number, mask in enumerate(masks):
            game[:, number] = present[:, mask].all(axis=1) * absent[:, ~mask].all(axis=1).mean()
        values[:, members] += box.value * exact_shapley.estimate(Design(masks), game).values
        base += box.value * float(game[0, 0]) if len(x) else 0.0
    return values, base


def _conditions_hold(box: Box, columns: RuleColumns, bounded: Ints, members: Ints, encoded: Floats) -> Masks:
    """Whether all conditions on a feature hold (row, member)."""
    holds = (encoded > box.low) & (encoded <= box.high)
    return (
        np.stack([holds[:, bounded[columns.part[bounded] == part]].all(axis=1) for part in members], axis=1)
        if len(members)
        else np.ones((len(encoded), 0), dtype=bool)
    )
