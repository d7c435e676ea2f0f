# SPDX-License-Identifier: Apache-2.0
"""A linear structural causal model of columns: what follows when some of them are set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.changes.column_rules import column_names

MAX_DEPENDENT = 10
"""Columns that can be set and that also follow others, at most: every set of them is searched."""


@dataclass(frozen=True, eq=False)
class Causes:
    """x_j = Σ over parents of ``slope`` (child, parent) · x_p + u_j, where u_j is read from the row and stays.

    A column that is set, be it to the value it has, no longer follows its parents; the others move as their parents do.
    """

    slope: Floats

    @staticmethod
    def none(size: int) -> Causes:
        """No column follows another."""
        return Causes(np.zeros((size, size)))

    def effects(self, intervened: Sequence[int]) -> Floats:
        """How far each column moves when an intervened one moves by 1 (column, intervened)."""
        slope = self.slope.copy()
        slope[list(intervened)] = 0.0
        start = np.eye(len(slope))[:, list(intervened)]
        found = start
        for _ in range(len(slope)):  # paths have no cycle
            moved = start + slope @ found
            if np.array_equal(moved, found):
                break
            found = moved
        return found

    def interventions(self, columns: Sequence[int]) -> list[tuple[int, ...]]:
        """Every set of columns that may be set, where it matters which ones are: a set column stops following."""
        if not len(columns):
            return [()]
        reach = self.reach
        others = {one: [other for other in columns if other != one] for one in columns}
        dependent = [one for one in columns if reach[one, others[one]].any()]
        if len(dependent) > MAX_DEPENDENT:
            raise InputError(
                f"{len(dependent)} columns that may change follow others; at most {MAX_DEPENDENT} can be searched. "
                f"Give fewer columns."
            )
        free = [one for one in columns if one not in dependent]
        sizes = range(len(dependent) + 1)
        return [tuple(sorted((*free, *some))) for size in sizes for some in combinations(dependent, size)]

    @cached_property
    def reach(self) -> Masks:
        """Whether a column has another as an ancestor (column, ancestor)."""
        found = self.slope != 0
        for _ in range(len(found)):
            found = found | (found.astype(np.int64) @ found.astype(np.int64) > 0)
        return found

    def scaled(self, factor: float, edge: tuple[int, int] | None = None) -> Causes:
        """The same model with all slopes, or one of them, times ``factor``."""
        slope = self.slope * factor if edge is None else self.slope.copy()
        if edge is not None:
            slope[edge] *= factor
        return Causes(slope)

    @property
    def edges(self) -> list[tuple[int, int]]:
        """All edges (child, parent)."""
        return [(int(child), int(parent)) for child, parent in zip(*np.nonzero(self.slope))]

    def follow(self, own: Floats, x: Floats, intervened: Sequence[int]) -> Floats:
        """The row ``own`` after its intervened columns are set as in ``x``."""
        places = list(intervened)
        moved = own + self.effects(places) @ (x[places] - own[places])
        moved[places] = x[places]
        return np.where(np.isnan(own), own, moved)


def read_causes(case: Case, given: Mapping[str, Sequence[Any]] | None) -> Causes:
    """The causal model of a call: for each column its parents with their slopes, {"savings": [["salary", 0.5]]}.

    ``InputError`` for columns that do not exist, are no numbers, or follow themselves.
    """
    names = column_names(case)
    causes = Causes.none(len(names))
    coded = np.zeros(len(names), dtype=bool) if case.rows.table is None else case.rows.table.coded
    for child, parents in (given or {}).items():
        for entry in parents:
            if not isinstance(entry, list | tuple) or len(entry) != 2 or not isinstance(entry[1], int | float):
                raise InputError(f"causes of {child!r}: {entry!r} is no pair (parent, slope).")
            for name in (child, str(entry[0])):
                if name not in names:
                    raise InputError(f"causes: there is no column {name!r}; there are {', '.join(names[:12])}.")
                if coded[names.index(name)]:
                    raise InputError(
                        f"causes: {name!r} has levels; only numbers can follow, or be followed by, others."
                    )
            causes.slope[names.index(child), names.index(entry[0])] = float(entry[1])
    circular = np.flatnonzero(np.diag(causes.reach))
    if len(circular):
        raise InputError(f"causes: {names[circular[0]]!r} follows itself; a causal model has no cycle.")
    return causes
