# SPDX-License-Identifier: Apache-2.0
"""Columns that a caller gives with the rows: groups and labels, of any library and type, as plain values."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any

import narwhals as nw
import numpy as np

from assay.basics.errors import InputError
from assay.engine.fairness.ranges import cut_into_ranges
from assay.nouns.inputs.frames import is_frame, list_first, open_frame
from assay.nouns.inputs.rows import to_numpy

MAX_NUMBERS = 20
"""Most distinct numbers or dates of a column whose values are compared as groups."""

RANGES = 4
"""Ranges into which an audit cuts numbers or dates of more distinct values."""

MISSING = "(missing)"
"""The group of the rows without one, in an audit."""

MAX_GROUPS = 100
"""Most groups that are compared; the number of pairs grows with its square."""


def column_values(data: Any, what: str = "values") -> list[Any]:
    """The values of a vector of any library; a column (row, 1) is a vector too."""
    if isinstance(data, str | bytes | Mapping | set) or data is None or not hasattr(data, "__len__"):
        raise InputError(f"{what}: found {type(data).__name__}; a vector with one value a row is needed.")
    if is_frame(data):
        frame = open_frame(data)
        if len(frame.columns) != 1:
            raise InputError(f"{what}: found {len(frame.columns)} columns; give one of them.")
        return list(frame[:, 0].to_list())
    series = nw.from_native(data, series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        return list(series.to_list())
    if isinstance(data, list | tuple) and not any(np.ndim(value) for value in data if not isinstance(value, str)):
        return list(data)
    values = to_numpy(data) if not isinstance(data, list | tuple) else _array(data, what)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise InputError(f"{what} have shape {values.shape}; one value a row is needed.")
    if values.dtype.kind in "mM":
        values = values.astype(f"{values.dtype.kind}8[us]")  # of nanoseconds numpy makes numbers
    return list(values.tolist())


def _array(data: Sequence[Any], what: str) -> Any:
    try:
        return np.array([to_numpy(value) for value in data])
    except ValueError as error:
        raise InputError(f"{what} have entries of different lengths; one value a row is needed.") from error


def missing_rows(values: Sequence[Any]) -> list[int]:
    """The rows whose value is missing: None, NaN, NaT or pandas' NA."""
    return [row for row, value in enumerate(values) if is_missing(value)]


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NaT or pandas' NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Number | np.datetime64 | np.timedelta64) and bool(value != value)


def sensitive_columns(groups: Any) -> dict[str, list[Any]]:
    """The columns of several sensitive attributes by name; of a single vector one column without a name."""
    if isinstance(groups, Mapping):
        return {str(name): column_values(column, f"groups of {name!r}") for name, column in groups.items()}
    if is_frame(groups):
        frame = open_frame(groups)
        return {str(name): list(frame[name].to_list()) for name in frame.columns}
    if getattr(groups, "ndim", 1) == 2 and groups.shape[1] != 1:
        raise InputError(
            f"groups have shape {tuple(groups.shape)}. Give one group a row; for several sensitive columns a frame, "
            f"or a "
            f"mapping from name to column."
        )
    return {"": column_values(groups, "groups")}


def group_names(values: Sequence[Any], rows: int, column: str = "", ranges: int = 0) -> Any:
    """The group of each row as text (row,).

    Raises ``InputError`` where a group is missing, where there is only one, and for numbers or dates of many distinct
    values, of which every row would be a group; with ``ranges`` these are cut into so many named ranges.
    """
    names = complete_groups(values, rows, column, ranges=ranges)
    if len(set(names.tolist())) < 2:
        raise InputError(
            f"all {rows} rows are in group {str(names[0])!r}{_of(column)}; a gap needs at least two groups."
        )
    return names


def complete_groups(values: Sequence[Any], rows: int, column: str = "", *, ranges: int = 0, missing: str = "") -> Any:
    """``group_names`` that also accepts a single group, and with ``missing`` names the group of rows without one."""
    of = _of(column)
    if len(values) != rows:
        raise InputError(f"{len(values)} group labels{of} for {rows} rows. Give one label per row.")
    without = missing_rows(values)
    if without and not missing:
        raise InputError(
            f"the group is missing in row(s) {list_first(without)}{of}. Leave these rows out, or give them a group."
        )
    gaps = set(without)
    known = [value for row, value in enumerate(values) if row not in gaps] if gaps else values
    names = iter(_names(known, of, ranges))
    return np.array([missing if row in gaps else next(names) for row in range(rows)])


def _names(values: Sequence[Any], of: str, ranges: int) -> Sequence[str]:
    names = [_name(value) for value in values]
    distinct = len(set(names))
    continuous = [
        value for value in values if isinstance(value, _CONTINUOUS) and not isinstance(value, bool | np.bool_)
    ]
    if continuous and distinct > MAX_NUMBERS:
        cut = cut_into_ranges(values, ranges) if ranges else []
        if cut:
            return cut
        raise InputError(
            f"the groups{of} are numbers or dates with {distinct} distinct values; at most {MAX_NUMBERS} are "
            f"compared as groups. Divide the range by edges of your choice: {_advice(continuous)}; or give "
            f"ranges={RANGES}."
        )
    if distinct > MAX_GROUPS:
        raise InputError(
            f"there are {distinct} groups{of}; at most {MAX_GROUPS} are compared. Merge rare groups into one."
        )
    return names


_CONTINUOUS = (Number, datetime.date, datetime.timedelta, np.datetime64, np.timedelta64)


def _of(column: str) -> str:
    return f" of {column!r}" if column else ""


def _name(value: Any) -> str:
    """A group as text; 1.0, which a library makes of 1 next to a gap, is "1"."""
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value)) if whole else str(value)


def _advice(values: Sequence[Any]) -> str:
    """A call that divides these values into four groups of about equal size."""
    if not all(isinstance(value, int | float | np.number) for value in values):
        return "pandas.cut(values, edges), or their year"
    edges = np.unique(np.quantile(np.array(values, dtype=np.float64), [0.25, 0.5, 0.75]))
    return f"numpy.digitize(values, [{', '.join(f'{edge:.3g}' for edge in edges)}])"
