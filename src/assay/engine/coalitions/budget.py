# SPDX-License-Identifier: Apache-2.0
"""A budget spent until standard errors are small enough."""

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
from assay.engine.coalitions.summary import Summary, as_bytes, removal, summarise
from assay.nouns.inputs.frames import some
from assay.nouns.results.result import Estimate, Note

START = 64
"""Less than this is never asked before errors are looked at."""


def within(
    case: Case,
    remove: Removal,
    chosen: Callable[[int, int], Summary],
    budget: int,
    tolerance: float | None,
    least: int,
) -> Estimate:
    """The estimate from ``budget`` coalitions a row, or for each row from as few as keep every error in ``tolerance``.

    ``chosen`` (parts, budget) says which summary a budget pays for. Steps are halves of the budget, from ``least`` on.
    Designs are nested, so a step asks only what is new, and a row that has arrived asks no more.
    """
    parts = len(case.features)
    if tolerance is None:
        return removal(case, remove, chosen(parts, budget), budget)
    if not tolerance > 0:
        raise InputError(f"tolerance={tolerance}; a standard error above 0, in units of the target, is needed.")
    asked = fast_path(case, remove, budget)
    known, rows = _Known(asked.game, parts), np.arange(len(case))
    found: dict[str, Floats] = {}
    for step in _steps(budget, max(least, START)):
        summary = chosen(parts, step)
        design = summary.design(parts, step, case.seed.child("design", summary.name))
        some_ = summarise(case.take(rows), summary, design, known.values(rows, design.masks))
        now = {**some_.extra, "evaluations": np.full(len(rows), known.asked, dtype=np.float64)}
        now |= {"values": some_.values, "stderr": some_.stderr}
        now |= {} if some_.base is None else {"base": some_.base}
        for name, numbers in now.items():
            found.setdefault(name, np.full((len(case), *numbers.shape[1:]), np.nan))[rows] = numbers
        rows = rows[~(found["stderr"][rows].max(axis=1) <= tolerance)]
        if not len(rows):
            break
    notes: tuple[Note, ...] = ()
    if len(rows):
        text = f"standard errors above {tolerance:g} after {budget} coalitions in {len(rows)} row(s): {some(rows)}"
        notes = (Note("tolerance", text, tuple(case.rows.ids[i] for i in rows)),)
    values, stderr, base = found.pop("values"), found.pop("stderr"), found.pop("base", None)
    return asked.told(Estimate(values, stderr, base, notes=notes, extra=found))


def _steps(budget: int, least: int) -> list[int]:
    """The budget and its halves, down to ``least``, smallest first."""
    steps = [budget]
    while steps[-1] // 2 >= least:
        steps.append(steps[-1] // 2)
    return steps[::-1]


@dataclass
class _Known:
    """Answers (row, mask) so far; a row that is not asked any more has none for later masks."""

    game: Game
    parts: int
    places: dict[bytes, int] = field(default_factory=dict)
    answers: Floats = field(default_factory=lambda: np.empty((0, 0)))

    @property
    def asked(self) -> int:
        """Different coalitions so far, the full one, which costs nothing, among them."""
        return len(self.places)

    def values(self, rows: Ints, masks: Masks) -> Floats:
        """v of the masks for these rows; asks only what is new."""
        keys = as_bytes(masks).tolist()
        before = len(self.places)
        fresh = [i for i, key in enumerate(keys) if self.places.setdefault(key, len(self.places)) >= before]
        fresh = sorted({keys[i]: i for i in reversed(fresh)}.values())  # each once, where it is first
        found = np.full((len(self.game.case), len(fresh)), np.nan)
        if fresh:
            which = np.repeat(rows, len(fresh))
            found[rows] = self.game(which, np.tile(masks[fresh], (len(rows), 1))).reshape(len(rows), -1)
        self.answers = np.concatenate([self.answers.reshape(len(found), before), found], axis=1)
        return self.answers[np.ix_(rows, np.array([self.places[key] for key in keys]))]
