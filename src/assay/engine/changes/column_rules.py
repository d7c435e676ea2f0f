# SPDX-License-Identifier: Apache-2.0
"""Which columns of a table may change, in which direction, to which values, and what a change costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.nouns.inputs.frames import format_number
from assay.nouns.inputs.rows import to_floats

Unit = Literal["mad", "quantile", "range"]
"""How a change of a number is measured: in median absolute deviations, by the share of rows that it passes, or as a
share of the column's range."""

LEAST_COST = 1e-9
"""The cost of a change that its unit does not see, such as one between two rows of a quantile."""


@dataclass(frozen=True, eq=False)
class Column:
    """A column that may change. Values lie between ``low`` and ``high``; with ``rising`` or ``falling`` only one way.

    ``allowed`` are the only values (codes of levels, for a coded column), ``None`` for any. ``known`` are the values in
    the reference rows, ascending; ``size`` the unit of ``mad``. ``whole`` columns keep whole numbers.
    """

    place: int
    name: str
    is_coded: bool
    rising: bool
    falling: bool
    low: float
    high: float
    whole: bool
    allowed: Floats | None
    known: Floats
    size: float

    def fits(self, values: Floats, own: float) -> Masks:
        """Which values a row with the value ``own`` may get (value,); never its own."""
        if self.is_coded:
            return np.asarray(values != own)
        inside = (values >= self.low) & (values <= self.high) & (values != own)
        if self.whole:
            inside &= values == np.round(values)
        if self.rising or self.falling:
            inside &= values > own if self.rising else values < own
        return np.asarray(inside)

    def cost(self, values: Floats, own: float, unit: Unit, level: float) -> Floats:
        """What it costs to change ``own`` to each of the values (value,)."""
        if self.is_coded:
            return np.full(len(values), level)
        if unit != "quantile":
            return np.asarray(np.maximum(np.abs(values - own) / self.length(unit), LEAST_COST))
        ranks = [np.searchsorted(self.known, one, side=side) for one in (values, own) for side in ("left", "right")]
        share = np.abs((ranks[0] + ranks[1]) - (ranks[2] + ranks[3])) / (2 * len(self.known))
        return np.asarray(np.maximum(share, LEAST_COST))

    def length(self, unit: Unit) -> float:
        """What a change of a number is divided by: the median absolute deviation, or the range (1 where it is 0)."""
        return self.size if unit == "mad" else float(self.known[-1] - self.known[0]) or 1.0

    def candidates(self, own: float, count: int) -> Floats:
        """At most ``count`` values that rows of the reference have, by their quantiles, with the two outermost."""
        pool = self.allowed if self.allowed is not None else np.unique(self.known)
        pool = pool[self.fits(pool, own)]
        if self.is_coded or len(pool) <= count:
            return pool
        below = pool[pool < own]
        places = np.round(np.linspace(0, len(pool) - 1, count)).astype(int)
        near = [len(below) - 1] if len(below) else []
        near += [len(below)] if len(below) < len(pool) else []
        return np.asarray(pool[np.unique([*places.tolist(), *near])])


@dataclass(frozen=True, eq=False)
class ColumnRules:
    """The columns that may change, and the costs: ``unit`` of numbers, ``level`` of a change of a level.

    ``weights`` (by column) multiply the costs, ``tables`` hold those of single changes of a level (column, code before,
    code after), and ``change`` is added for every column that changes.
    """

    columns: tuple[Column, ...]
    unit: Unit
    level: float
    weights: Mapping[str, float] = field(default_factory=dict)
    tables: Mapping[tuple[str, float, float], float] = field(default_factory=dict)
    change: float = 0.0

    def cost(self, column: Column, values: Floats, own: float) -> Floats:
        """What it costs to change ``own`` to each of the values (value,); its own value costs 0."""
        found = column.cost(values, own, self.unit, self.level)
        if self.tables and column.is_coded:
            known = [self.tables.get((column.name, own, one)) for one in values.tolist()]
            found = np.array([cost if one is None else one for cost, one in zip(found.tolist(), known)])
        found = found * self.weights.get(column.name, 1.0) + self.change
        return np.where(values == own, 0.0, found)

    @property
    def cost_text(self) -> str:
        """What a cost is, as text."""
        units = {
            "mad": "the change divided by the column's median absolute deviation",
            "quantile": "the share of the reference rows between both values",
            "range": "the change divided by the column's range",
        }
        named = ", ".join(f"{name} × {weight:g}" for name, weight in self.weights.items())
        more = [f"; {len(self.tables)} changes of a level as given"] if self.tables else []
        more += [f"; {named}"] if named else []
        more += [f"; {self.change:g} more for every column that changes"] if self.change else []
        return f"{units[self.unit]}; {self.level:g} for another level{''.join(more)}"


def column_rules(
    case: Case,
    *,
    columns: Sequence[str],
    up: Sequence[str],
    down: Sequence[str],
    values: Mapping[str, Sequence[Any]] | None,
    bounds: Mapping[str, Sequence[Any]] | None,
    background: Any,
    unit: Unit,
    level: float,
    weights: Mapping[str, float] | None = None,
    level_costs: Mapping[str, Sequence[Any]] | None = None,
    change: float = 0.0,
) -> ColumnRules:
    """The rules of a call; ``InputError`` names columns that do not exist and values that no column can have."""
    names, rows = column_names(case), case.rows
    reference = to_floats(rows.x if background is None else rows.convert(background))
    chosen = tuple(columns) or names
    given = {"columns": columns, "up": up, "down": down, "values": values or {}, "bounds": bounds or {}}
    given |= {"weights": tuple(weights or {}), "level_costs": level_costs or {}}
    for option, listed in given.items():
        unknown = [name for name in listed if name not in names]
        if unknown:
            raise InputError(f"{option}: there is no column {unknown[0]!r}; there are {', '.join(names[:12])}.")
        still = [name for name in listed if name not in chosen]
        if still:
            raise InputError(f"{option}: {still[0]!r} is not among columns, so that it may not change.")
    both = sorted(set(up) & set(down))
    if both or not level > 0:
        raise InputError(
            f"{both[0]!r} is in up and in down; leave it out of both to let it change either way."
            if both
            else f"level_cost={level:g}; a number above 0 is needed."
        )
    coded = np.zeros(len(names), dtype=bool) if rows.table is None else rows.table.coded
    wrong = [name for name, is_coded in zip(names, coded) if is_coded and (name in up or name in down)]
    wrong += [name for name, is_coded in zip(names, coded) if is_coded and name in (bounds or {})]
    if wrong:
        raise InputError(f"{wrong[0]!r} has no order: give the levels that it may take in values, no direction.")
    found = [
        _column(case, place, name, reference[:, place], up, down, (values or {}).get(name), (bounds or {}).get(name))
        for place, name in enumerate(names)
        if name in chosen
    ]
    _check_costs(weights or {}, change)
    tables = _level_tables(case, found, level_costs or {})
    return ColumnRules(tuple(found), unit, level, dict(weights or {}), tables, change)


def _check_costs(weights: Mapping[str, float], change: float) -> None:
    wrong = [name for name, weight in weights.items() if not (weight > 0 and np.isfinite(weight))]
    if wrong:
        raise InputError(f"the weight of {wrong[0]!r} is {weights[wrong[0]]}; a number above 0 is needed.")
    if not (change >= 0 and np.isfinite(change)):
        raise InputError(f"change_cost={change}; a number of at least 0 is needed.")


def _level_tables(
    case: Case, columns: Sequence[Column], given: Mapping[str, Sequence[Any]]
) -> dict[tuple[str, float, float], float]:
    """The costs of single changes of a level, by column, code before and code after."""
    found = {}
    for column in columns:
        for entry in given.get(column.name, ()):
            if not column.is_coded or len(entry) != 3 or not isinstance(entry[2], int | float) or not entry[2] > 0:
                raise InputError(
                    f"level_costs of {column.name!r}: {entry!r}; a column of levels and entries (level before, level "
                    f"after, cost above 0) are needed."
                )
            before, after = (_encoded(case, column.place, column.name, one) for one in entry[:2])
            found[column.name, before, after] = float(entry[2])
    return found


def _column(
    case: Case,
    place: int,
    name: str,
    reference: Floats,
    up: Sequence[str],
    down: Sequence[str],
    values: Sequence[Any] | None,
    bounds: Sequence[Any] | None,
) -> Column:
    table = case.rows.table
    level = None if table is None else table.levels[place]
    if level is not None:
        known = np.array([code for code in range(len(level.values)) if code not in level.missing], dtype=np.float64)
        allowed = known if values is None else np.unique([_encoded(case, place, name, one) for one in values])
        return Column(place, name, True, False, False, -np.inf, np.inf, False, allowed, known, 1.0)
    known = np.sort(reference[np.isfinite(reference)])
    if not len(known):
        known = np.zeros(1)
    own = to_floats(case.rows.x)[:, place]
    is_whole = table.dtypes[place].is_integer() if table is not None else _all_whole(known) and _all_whole(own)
    low, high = (known[0], known[-1]) if bounds is None else _bounds(name, bounds)
    listed = None if values is None else np.unique([_encoded(case, place, name, one) for one in values])
    if values is not None and bounds is None:
        low, high = -np.inf, np.inf
    rises, falls = name in up, name in down
    return Column(place, name, False, rises, falls, float(low), float(high), bool(is_whole), listed, known, _mad(known))


def _all_whole(values: Floats) -> bool:
    finite = values[np.isfinite(values)]
    return bool((finite == np.round(finite)).all())


def _bounds(name: str, bounds: Sequence[Any]) -> tuple[float, float]:
    try:
        low, high = map(float, bounds)
    except (TypeError, ValueError) as error:
        raise InputError(f"bounds of {name!r}: {bounds!r} is not a pair of numbers (low, high).") from error
    if not low <= high:
        raise InputError(f"bounds of {name!r}: {low:g} is above {high:g}.")
    return low, high


def _encoded(case: Case, place: int, name: str, value: Any) -> float:
    table = case.rows.table
    if table is not None:
        level = table.levels[place]
        if level is not None and value not in level.values:
            known = ", ".join(map(repr, level.values[:8]))
            raise InputError(f"values of {name!r}: {value!r} is no level of the rows or the background ({known}).")
        return table.encode_value(place, value)
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"values of {name!r}: {value!r} is no number.") from error


def _mad(known: Floats) -> float:
    """The median absolute deviation; the mean one where it is 0, and 1 where the column is constant."""
    away = np.abs(known - np.median(known))
    return float(np.median(away) or away.mean() or 1.0)


def column_names(case: Case) -> tuple[str, ...]:
    """The names of the columns of a table."""
    size = int(case.rows.shape[0])
    if case.rows.table is not None:
        return case.rows.table.names
    if case.features.elementwise and len(case.features.names) == size:
        order = np.argsort(case.features.index.ravel())
        found = [""] * size
        for name, place in zip(case.features.names, order.tolist()):
            found[place] = name
        return tuple(found)
    return case.model.columns or tuple(f"column {place + 1}" for place in range(size))


def describe_changes(case: Case, before: Floats, after: Floats) -> tuple[str, ...]:
    """The columns of one row that changed, with both values, as text."""
    table, names = case.rows.table, column_names(case)
    cell = table.format_cell if table is not None else lambda _, value: format_number(value)
    places = np.flatnonzero((before != after) & ~(np.isnan(before) & np.isnan(after)))
    return tuple(f"{names[j]}: {cell(j, before[j])} → {cell(j, after[j])}" for j in places.tolist())
