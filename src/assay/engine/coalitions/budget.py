# SPDX-License-Identifier: Apache-2.0
"""Adaptive budgets: coalitions are evaluated until all standard errors are within a tolerance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.fast_path import fast_path
from assay.cases.game import Game
from assay.cases.removals import Removal
from assay.engine.coalitions.estimator import Estimator, as_bytes, estimate_by_removal, estimate_rows
from assay.nouns.inputs.frames import list_first
from assay.nouns.results.result import Estimate, Note

MIN_COALITIONS = 64
"""The least number of coalitions before standard errors are compared with the tolerance."""


def estimate_to_tolerance(
    case: Case,
    remove: Removal,
    choose: Callable[[int, int], Estimator],
    budget: int,
    tolerance: float | None,
    least: int,
) -> Estimate:
    """The estimate from ``budget`` coalitions a row, or from as few as bring every standard error to ``tolerance``.

    ``choose`` (parts, budget) gives the estimator for a budget. The number of coalitions doubles at each step, from the
    smallest half, quarter, … of the budget that is at least ``least``. Designs are nested: a step evaluates only new
    coalitions, and only for rows that are not within the tolerance yet.
    """
    parts = len(case.features)
    if tolerance is None:
        return estimate_by_removal(case, remove, choose(parts, budget), budget)
    if not tolerance > 0:
        raise InputError(f"tolerance={tolerance}; it is a standard error in units of the target and must be above 0.")
    path = fast_path(case, remove, budget)
    cache, rows = _ValueCache(path.game, parts), np.arange(len(case))
    found: dict[str, Floats] = {}
    for step in _steps(budget, max(least, MIN_COALITIONS)):
        estimator = choose(parts, step)
        design = estimator.design(parts, step, case.seed.child("design", estimator.name))
        estimate = estimate_rows(case.take(rows), estimator, design, cache.values(rows, design.masks))
        fields = {**estimate.extra, "evaluations": np.full(len(rows), cache.size, dtype=np.float64)}
        fields |= {"values": estimate.values, "stderr": estimate.stderr}
        fields |= {} if estimate.base is None else {"base": estimate.base}
        for name, numbers in fields.items():
            found.setdefault(name, np.full((len(case), *numbers.shape[1:]), np.nan))[rows] = numbers
        rows = rows[~(found["stderr"][rows].max(axis=1) <= tolerance)]
        if not len(rows):
            break
    notes: tuple[Note, ...] = ()
    if len(rows):
        text = (
            f"standard error still above tolerance={tolerance:g} after {budget} coalitions in {len(rows)} row(s): "
            f"{list_first(rows)}"
        )
        notes = (Note("tolerance", text, tuple(case.rows.ids[i] for i in rows)),)
    values, stderr, base = found.pop("values"), found.pop("stderr"), found.pop("base", None)
    return path.annotate(Estimate(values, stderr, base, notes=notes, extra=found))


def _steps(budget: int, least: int) -> list[int]:
    """The budget, its half, quarter, … down to ``least``, smallest first."""
    steps = [budget]
    while steps[-1] // 2 >= least:
        steps.append(steps[-1] // 2)
    return steps[::-1]


@dataclass
class _ValueCache:
    """Values v (row, coalition) evaluated so far; NaN where a row had reached the tolerance before a coalition."""

    game: Game
    parts: int
    columns: dict[bytes, int] = field(default_factory=dict)
    table: Floats = field(default_factory=lambda: np.empty((0, 0)))

    @property
    def size(self) -> int:
        """Number of distinct coalitions so far, with the full one, which costs no evaluation."""
        return len(self.columns)

    def values(self, rows: Ints, masks: Masks) -> Floats:
        """v of the masks for these rows; only new coalitions are evaluated."""
        keys = as_bytes(masks).tolist()
        before = len(self.columns)
        new = [i for i, key in enumerate(keys) if self.columns.setdefault(key, len(self.columns)) >= before]
        new = sorted({keys[i]: i for i in reversed(new)}.values())  # the first place of each coalition
        values = np.full((len(self.game.case), len(new)), np.nan)
        if new:
            which = np.repeat(rows, len(new))
            values[rows] = self.game(which, np.tile(masks[new], (len(rows), 1))).reshape(len(rows), -1)
        self.table = np.concatenate([self.table.reshape(len(values), before), values], axis=1)
        return self.table[np.ix_(rows, np.array([self.columns[key] for key in keys]))]
