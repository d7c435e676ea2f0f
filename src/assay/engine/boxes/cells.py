# SPDX-License-Identifier: Apache-2.0
"""Cells of the columns of a forest: the intervals of a column's values between the thresholds of all trees."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.model.forests.forest import Forest
from assay.nouns.inputs.rows import Rows

HALVINGS = 64
"""Halvings after which two neighbouring float64 numbers are left of any interval."""

LARGEST = float(np.finfo(np.float64).max)
"""The largest float64."""

MAX_NUMBERS = 10_000_000
"""Numbers that are compared at a time."""


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of each element of a row, in the element's own units.

    ``ends`` (element) are the largest float64 values of all cells but the last, ascending: cell k holds the values v
    with ends[k − 1] < v ≤ ends[k]. All rows whose elements lie in the same cells reach the same leaves. ``movable``
    (element,) says whether the cells describe the element: it is a number, and the trees compare non-decreasing
    functions of it alone. The others are known only at the row itself. ``last_left`` (node,) is the last cell that goes
    left at a split of a movable element, −1 where none does.
    """

    ends: tuple[Floats, ...]
    movable: Masks
    last_left: Ints

    def of_values(self, x: Floats) -> Ints:
        """The cell of each element (row, element)."""
        found = [np.searchsorted(ends, x[:, element], side="left") for element, ends in enumerate(self.ends)]
        return np.stack(found, axis=1) if found else np.zeros((len(x), 0), dtype=np.int64)

    def nearest_values(self, element: int, value: float) -> Floats:
        """For each cell of an element its value nearest to ``value`` (cell,): itself in its own cell."""
        ends = self.ends[element]
        own = int(np.searchsorted(ends, value, side="left"))
        above = np.nextafter(ends, np.inf)[own:]  # the smallest value of each cell above
        return np.concatenate([ends[:own], [value], above])


def find_cells(forest: Forest, rows: Rows, coded: Masks) -> Cells:
    """The cells of a forest whose rows are like ``rows``; ``coded`` (element,) are columns of categories.

    The end of a cell is found by halving between the largest and the smallest float64, through ``forest.matrix``: so it
    is exact for scaled columns, and for trees that compare in float32. An element is not movable if it is coded, if a
    tree splits a column made of it by categories, or if a column falls where the element rises.
    """
    size = int(np.prod(rows.shape))
    used, by_sets = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    splits = forest.column >= 0
    used[forest.origin[np.unique(forest.column[splits])]] = True
    by_sets[forest.origin[np.unique(forest.column[splits & (forest.levels >= 0)])]] = True
    movable = ~coded & ~by_sets
    nodes = np.flatnonzero(splits & movable[forest.origin[forest.column]])
    pairs = np.stack([forest.column[nodes].astype(np.float64), forest.threshold[nodes]])
    different, place = np.unique(pairs, axis=1, return_inverse=True)
    column, threshold = different[0].astype(np.int64), different[1]
    element = forest.origin[column]
    template = rows.take(np.array([0]))
    found, certain = _last_values(forest, template, element, column, threshold)
    ends: list[Floats] = [np.empty(0) for _ in range(size)]
    last = np.full(len(column), -1, dtype=np.int64)
    for one in np.unique(element).tolist():
        own = np.flatnonzero(element == one)
        if not certain[own].all() or not _is_monotone(forest, template, one, column[own], threshold[own], found[own]):
            movable[one] = False
            continue
        ends[one] = np.unique(found[own][np.isfinite(found[own])])
        last[own] = np.where(found[own] == -np.inf, -1, np.searchsorted(ends[one], found[own], side="left"))
    last_left = np.full(len(forest.column), -1, dtype=np.int64)
    last_left[nodes] = last[place.ravel()]
    return Cells(tuple(ends), movable, last_left)


def _last_values(
    forest: Forest, template: Rows, element: Ints, column: Ints, threshold: Floats
) -> tuple[Floats, Masks]:
    """The largest value (split,) of the element that goes left at each split, and whether there is one such value.

    −∞ where every value goes right, +∞ where every value goes left. There is none where the largest number goes left
    and the smallest does not.
    """

    def goes_left(keys: Ints) -> Masks:
        found = np.empty(len(keys), dtype=bool)
        step = max(1, MAX_NUMBERS // math.prod(template.shape))
        for part in (slice(start, start + step) for start in range(0, len(keys), step)):
            matrix = forest.matrix(with_elements(template, element[part], _from_keys(keys[part])))
            found[part] = matrix[np.arange(len(matrix)), column[part]] <= threshold[part]
        return found

    low, high = (np.full(len(column), _to_keys(np.array([end]))[0]) for end in (-LARGEST, LARGEST))
    with np.errstate(all="ignore"):
        never, always = ~goes_left(low), goes_left(high)
        for _ in range(HALVINGS):
            middle = (low >> 1) + (high >> 1) + (low & high & 1)
            left = goes_left(middle)
            low, high = np.where(left, middle, low), np.where(left, high, middle)
    return np.where(never, -np.inf, np.where(always, np.inf, _from_keys(low))), ~(never & always)


def _is_monotone(forest: Forest, template: Rows, element: int, column: Ints, threshold: Floats, ends: Floats) -> bool:
    """Whether the values at, just above and between all ends go to the side of each split that its end says."""
    finite = np.unique(ends[np.isfinite(ends)])
    if not len(finite):
        return True
    values = np.concatenate([finite, np.nextafter(finite, np.inf), (finite[:-1] + finite[1:]) / 2])
    matrix = forest.matrix(with_elements(template, np.full(len(values), element), values))
    block = max(1, MAX_NUMBERS // len(values))
    return all(
        np.array_equal(matrix[:, column[part]] <= threshold[part], values[:, None] <= ends[part])
        for part in (slice(start, start + block) for start in range(0, len(column), block))
    )


def with_elements(template: Rows, element: Ints, values: Floats) -> Rows:
    """Copies of one row, each with this value of one element."""
    rows = template.take(np.zeros(len(values), dtype=np.int64))
    x = np.array(rows.x, dtype=np.float64)
    x.reshape(len(values), -1)[np.arange(len(values)), element] = values
    return replace(rows, x=x)


def _to_keys(values: Floats) -> Ints:
    """Integers in the order of the float64 values."""
    bits = np.asarray(values, dtype=np.float64).view(np.int64)
    return np.where(bits >= 0, bits, np.int64(-(2**63)) - bits)


def _from_keys(keys: Ints) -> Floats:
    bits = np.where(keys >= 0, keys, np.int64(-(2**63)) - keys)
    return np.asarray(bits.astype(np.int64)).view(np.float64)
