# SPDX-License-Identifier: Apache-2.0
"""How the ranking of the explanations depends on the settings of a score: by setting, and who ranks first elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assay.nouns.comparisons.settings_grid import RankChange, SettingsGrid
from assay.nouns.records.record import Record
from assay.report.drawing.formatting import format_count, format_number, join_names, method_label

MAX_REVERSALS = 12
"""Settings with another method in first place that are listed; the rest is counted."""

AXIS = {"removal": "removal", "target": "output scale", "steps": "steps", "sign": "signs"}
"""Names of the axes of the grid on the page."""


@dataclass(frozen=True)
class AxisSummary:
    """One axis: its values, the largest rank change along it alone, and the share of pairs of methods it reverses."""

    name: str
    values: str
    largest_change: str
    reversed: str


@dataclass(frozen=True)
class Reversal:
    """A setting with another method in first place.

    ``often`` is how often that method is first in resamples of the rows, ``rank`` the rank of the default's first one.
    """

    setting: str
    winner: str
    often: str
    rank: str


@dataclass(frozen=True)
class GridSummary:
    """The grid as text and tables; ``more`` counts reversals not listed, ``doubt`` is why the score is unreliable."""

    score: str
    text: str
    best: str
    axes: tuple[AxisSummary, ...]
    reversals: tuple[Reversal, ...]
    more: int
    doubt: str


def summarise_grid(record: Record) -> GridSummary | None:
    """The grid of settings of a record; ``None`` where there is none, or its first setting ranks no method."""
    grid = record.settings_grid
    if grid is None or not grid.comparable[0]:
        return None
    compared = np.flatnonzero(grid.comparable).tolist()
    reversed_ = [place for place in compared if grid.best not in grid.winners(place)]
    reversed_.sort(key=lambda place: len(_changed(grid, place)))
    changes = grid.largest_rank_change_by_axis
    axes = tuple(
        AxisSummary(
            AXIS[axis],
            _values(grid, axis),
            _describe(changes[axis]) if axis in changes else "not compared",
            _percent(share),
        )
        for axis, share in grid.reversal_rates.items()
    )
    lines = tuple(_reversal(grid, place) for place in reversed_[:MAX_REVERSALS])
    failed = [
        f.code for f in record.findings if f.subject == grid.score and f.verdict == "fail" and f.code[:3] == "SCO"
    ]
    doubt = f"{grid.score.replace('_', ' ')} failed its own test on this model ({join_names(failed)})" if failed else ""
    text = _text(grid, len(compared), len(reversed_))
    return GridSummary(grid.score, text, grid.best, axes, lines, len(reversed_) - len(lines), doubt)


def _text(grid: SettingsGrid, compared: int, reversals: int) -> str:
    often = _percent(float(grid.best_rate[0, grid.methods.index(grid.best)]))
    sentences = [
        f"Default setting: {grid.settings[0]}, over {format_count(int(grid.rows[0]), 'row')}. "
        f"{method_label(grid.best)} ranks first of {len(grid.ranked)} methods (in {often} of resamples of the rows).",
        f"It ranks first, alone or tied, under {compared - 1 - reversals} of "
        f"{format_count(compared - 1, 'other setting')}.",
        f"Largest rank change under any other setting: {_describe(grid.largest_rank_change)}.",
    ]
    excluded = len(grid.settings) - compared
    if excluded:
        sentences.append(
            f"{format_count(excluded, 'setting')} excluded: the score is undefined on some rows there, so the ranks "
            "are not comparable."
        )
    return " ".join(sentences)


def _changed(grid: SettingsGrid, place: int) -> list[str]:
    """The axes on which a setting differs from the first one."""
    return [axis for axis in AXIS if getattr(grid.settings[place], axis) != getattr(grid.settings[0], axis)]


def _values(grid: SettingsGrid, axis: str) -> str:
    values = dict.fromkeys(getattr(setting, axis) for setting in grid.settings)
    return ", ".join(("one feature a step" if value == 0 else str(value)) for value in values)


def _describe(change: RankChange) -> str:
    if not change.change:
        return "none"
    ranks = f"{_places(abs(change.change))}, from rank {change.default_rank:g} to {change.rank:g}"
    return f"{method_label(change.method)} by {ranks} ({change.setting})"


def _places(change: float) -> str:
    """1 place, 2.5 places."""
    return f"{change:g} place" if change == 1 else f"{change:g} places"


def _reversal(grid: SettingsGrid, place: int) -> Reversal:
    winners: Sequence[str] = grid.winners(place)
    often = sum(float(grid.best_rate[place, grid.methods.index(name)]) for name in winners)
    rank = float(grid.ranks[place, grid.methods.index(grid.best)])
    labels = join_names([method_label(winner) for winner in winners])
    return Reversal(str(grid.settings[place]), labels, _percent(often), f"{rank:g}")


def _percent(share: float) -> str:
    return "undefined" if np.isnan(share) else f"{format_number(100 * share, 0)} %"
