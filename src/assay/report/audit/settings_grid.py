# SPDX-License-Identifier: Apache-2.0
"""How the order of the explanations hangs on the setting of the score: in words, by axis, and who wins elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assay.nouns.comparisons.settings_grid import RankChange, SettingsGrid
from assay.nouns.records.record import Record
from assay.report.drawing.formatting import breakable, counted, listed, number

SHOWN = 12
"""Settings under which another method wins that are shown; more are counted."""

AXIS = {"removal": "removal", "target": "output space", "steps": "steps", "sign": "signs"}
"""What an axis is called."""


@dataclass(frozen=True)
class Axis:
    """One axis: its values, the farthest move of a rank along it alone, and the share of pairs it turns round."""

    name: str
    values: str
    move: str
    turned: str


@dataclass(frozen=True)
class Other:
    """A setting under which another method comes first: which, how often in draws of the rows, the usual one's rank."""

    setting: str
    winner: str
    often: str
    rank: str


@dataclass(frozen=True)
class Settings:
    """All that is told of a grid; ``more`` counts settings not shown, ``doubt`` says why none of it counts."""

    score: str
    told: str
    best: str
    axes: tuple[Axis, ...]
    others: tuple[Other, ...]
    more: int
    doubt: str


def settings_told(record: Record) -> Settings | None:
    """What the page says of the grid; ``None`` where there is none, or its first setting ranks nothing."""
    grid = record.settings_grid
    if grid is None or not grid.comparable[0]:
        return None
    compared = np.flatnonzero(grid.comparable).tolist()
    others = [place for place in compared if grid.best not in grid.winners(place)]
    others.sort(key=lambda place: len(_changed(grid, place)))
    moves = grid.farthest_alone
    axes = tuple(
        Axis(AXIS[axis], _values(grid, axis), _move(moves[axis]) if axis in moves else "not compared", _percent(share))
        for axis, share in grid.axes.items()
    )
    lines = tuple(_other(grid, place) for place in others[:SHOWN])
    failed = [
        f.code for f in record.findings if f.subject == grid.score and f.verdict == "fail" and f.code[:3] == "SCO"
    ]
    doubt = f"{grid.score.replace('_', ' ')} failed its own test on this model ({listed(failed)})" if failed else ""
    told = _told(grid, len(compared), len(others))
    return Settings(grid.score, told, grid.best, axes, lines, len(others) - len(lines), doubt)


def _told(grid: SettingsGrid, compared: int, others: int) -> str:
    often = _percent(float(grid.first[0, grid.methods.index(grid.best)]))
    told = [
        f"Usual setting: {grid.settings[0]}, over {counted(int(grid.rows[0]), 'row')}. "
        f"First of {len(grid.ranked)} is {breakable(grid.best)} (in {often} of draws of the rows).",
        f"It is first, alone or tied, under {compared - 1 - others} of {counted(compared - 1, 'other setting')}.",
        f"Farthest move of a rank under any of them: {_move(grid.farthest)}.",
    ]
    left = len(grid.settings) - compared
    if left:
        told.append(f"{counted(left, 'setting')} left out: rows have no score there, so that ranks are of other rows.")
    return " ".join(told)


def _changed(grid: SettingsGrid, place: int) -> list[str]:
    """The axes on which a setting differs from the first."""
    return [axis for axis in AXIS if getattr(grid.settings[place], axis) != getattr(grid.settings[0], axis)]


def _values(grid: SettingsGrid, axis: str) -> str:
    values = dict.fromkeys(getattr(setting, axis) for setting in grid.settings)
    return ", ".join(("one part a step" if value == 0 else str(value)) for value in values)


def _move(move: RankChange) -> str:
    if not move.change:
        return "none"
    places = f"{_places(abs(move.change))}, from rank {move.usual:g} to {move.there:g}"
    return f"{breakable(move.method)} by {places} ({move.setting})"


def _places(change: float) -> str:
    """1 place, 2.5 places."""
    return f"{change:g} place" if change == 1 else f"{change:g} places"


def _other(grid: SettingsGrid, place: int) -> Other:
    winners: Sequence[str] = grid.winners(place)
    often = sum(float(grid.first[place, grid.methods.index(name)]) for name in winners)
    rank = float(grid.ranks[place, grid.methods.index(grid.best)])
    return Other(str(grid.settings[place]), listed([breakable(w) for w in winners]), _percent(often), f"{rank:g}")


def _percent(share: float) -> str:
    return "undefined" if np.isnan(share) else f"{number(100 * share, 0)} %"
