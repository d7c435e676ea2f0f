# SPDX-License-Identifier: Apache-2.0
"""Data frames as plain float64 matrices and back, with nothing lost on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import narwhals as nw
import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats


def is_frame(data: Any) -> bool:
    """Whether ``data`` is a data frame that narwhals knows (pandas, polars, pyarrow, …)."""
    try:
        return isinstance(nw.from_native(data, pass_through=True, eager_only=True), nw.DataFrame)
    except nw.exceptions.DuplicateError:
        return True


def opened(frame: Any) -> nw.DataFrame[Any]:
    """The frame behind narwhals' interface; raises ``InputError`` on repeated column names."""
    try:
        return nw.from_native(frame, eager_only=True)
    except nw.exceptions.DuplicateError as error:
        told = " ".join(str(error).split())
        raise InputError(f"column names repeat ({told}). Each column needs a name of its own.") from error


@dataclass(frozen=True)
class Levels:
    """The distinct values a coded column has shown so far; the code of a value never changes.

    Values met later (a background usually has more of them than the rows explained) are appended.
    """

    codes: dict[Any, int] = field(default_factory=dict)
    values: list[Any] = field(default_factory=list)

    def encode(self, column: Sequence[Any]) -> Floats:
        """The code of each value."""
        for value in column:
            if value not in self.codes:
                self.codes[value] = len(self.values)
                self.values.append(value)
        return np.array([self.codes[value] for value in column], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Table:
    """How a frame's columns are written as numbers: numeric columns as they are, all others by level.

    Decoding gives a frame of the caller's kind with the caller's column types; integer columns whose
    values were replaced by fractions (a mean, say) come back as floats.
    """

    names: tuple[str, ...]
    dtypes: tuple[Any, ...]
    native: Any
    levels: tuple[Levels | None, ...]

    @staticmethod
    def of(frame: Any) -> Table:
        """Read the columns of a frame; raises ``InputError`` on repeated or non-text names."""
        wrapped = opened(frame)
        names = tuple(wrapped.columns)
        odd = [name for name in names if not isinstance(name, str)]
        if odd:
            raise InputError(f"column names must be text; found {odd[:5]!r}. Rename them first.")
        dtypes = tuple(wrapped.schema.values())  # asking for one column's type reads them all
        levels = tuple(None if dtype.is_numeric() else Levels() for dtype in dtypes)
        return Table(names, dtypes, wrapped[:0].to_native(), levels)

    @property
    def coded(self) -> np.ndarray:
        """Which columns are written by level."""
        return np.array([level is not None for level in self.levels])

    def encode(self, frame: Any, *, gaps: bool = False) -> Floats:
        """The frame as a matrix, its columns found by name whatever their order; ``gaps`` lets numbers be missing."""
        wrapped, empty = opened(frame), opened(self.native)
        check_columns(wrapped.columns, self.names)
        complete = [n for n, level in zip(self.names, self.levels) if not gaps or level is not None]
        missing = {n: np.flatnonzero(_is_missing(wrapped[n])) for n in complete}
        missing = {name: rows for name, rows in missing.items() if len(rows)}
        if missing:
            name, rows = next(iter(missing.items()))
            raise InputError(
                f"{len(missing)} column(s) hold missing values: {name!r} in row(s) {some(rows)}. assay explains "
                f"complete rows; drop or impute these first{OF_A_KIND if gaps else ''} (an imputer can be part of the "
                f"data, not of the model)."
            )
        columns = []
        for name, level in zip(self.names, self.levels):
            column = wrapped[name]
            if level is None:
                if not column.dtype.is_numeric():
                    raise InputError(
                        f"column {name!r} is {column.dtype}; it was numeric where the table was first seen."
                    )
                columns.append(_numbers(name, column))
            else:
                values = column.to_list()
                _refuse_strangers(name, [v for v in dict.fromkeys(values) if v not in level.codes], empty[name])
                columns.append(level.encode(values))
        return np.column_stack(columns) if columns else np.empty((len(wrapped), 0))

    def decode(self, matrix: Floats) -> Any:
        """A frame of the caller's kind with these rows."""
        empty = opened(self.native)
        if self.names and all(dtype == nw.Float64 for dtype in self.dtypes):
            return self._plain(matrix, empty)
        columns = []
        for name, dtype, level, values in zip(self.names, self.dtypes, self.levels, matrix.T):
            if level is None:
                series = nw.new_series(name, values, backend=empty.implementation)
                if dtype.is_float() or dtype.is_decimal() or _whole(values, dtype):
                    series = _typed(series, empty[name])
            else:
                kinds = _restore(name, level.values, empty[name])
                series = kinds[values.astype(np.int64)]
            columns.append(series)
        return nw.concat([nw.from_dict({s.name: s for s in columns})]).to_native() if columns else self.native

    def _plain(self, matrix: Floats, empty: nw.DataFrame[Any]) -> Any:
        """The matrix as it is: a wide table is not taken apart."""
        frame = nw.from_numpy(matrix, list(self.names), backend=empty.implementation)
        native = frame.to_native()
        if empty.implementation.is_pandas() and not native.dtypes.equals(self.native.dtypes):
            return native.astype(self.native.dtypes)  # pandas has two types that narwhals calls Float64
        return native

    def show(self, position: int, value: float) -> str:
        """A cell as text."""
        level = self.levels[position]
        return f"{value:.6g}" if level is None else str(level.values[int(value)])

    def code(self, position: int, value: Any) -> float:
        """A single value as it is written in column ``position``."""
        level, name = self.levels[position], self.names[position]
        if level is not None:
            _refuse_strangers(name, [value], opened(self.native)[name])
            return float(level.encode([value])[0])
        if isinstance(value, str) or not np.isfinite(float(value)):
            raise InputError(f"column {name!r} holds numbers; got {value!r}.")
        return float(value)

    def content(self, matrix: Floats) -> tuple[Any, ...]:
        """The rows in a form that does not depend on the codes, for marks."""
        return tuple(
            matrix[:, i] if level is None else [str(level.values[int(code)]) for code in matrix[:, i]]
            for i, level in enumerate(self.levels)
        )

    @property
    def backend(self) -> str:
        """The library of the frame: pandas, polars, pyarrow, …"""
        return str(opened(self.native).implementation.value)

    def settings(self) -> Mapping[str, str]:
        """Column names and types, for printing."""
        return {name: str(dtype) for name, dtype in zip(self.names, self.dtypes)}


OF_A_KIND = ", or give missing text a category of its own"


def check_columns(found: Sequence[str], needed: Sequence[str]) -> None:
    """Raise ``InputError`` naming missing and unexpected columns."""
    there, wanted = Counter(found), set(needed)
    repeated = [name for name, count in there.items() if count > 1]
    missing = [name for name in needed if name not in there]
    extra = [name for name in there if name not in wanted]
    faults = [
        f"{what} {', '.join(map(repr, names[:8]))}{' …' if len(names) > 8 else ''}"
        for what, names in (("missing", missing), ("unexpected", extra), ("repeated", repeated))
        if names
    ]
    if faults:
        raise InputError(
            f"columns do not fit: {'; '.join(faults)}. Give exactly the {len(needed)} columns of the model."
        )


def some(rows: Any, limit: int = 8) -> str:
    """The first few row numbers as text."""
    rows = [int(row) for row in rows]
    return ", ".join(map(str, rows[:limit])) + (f" … ({len(rows)} in all)" if len(rows) > limit else "")


def _is_missing(column: nw.Series[Any]) -> np.ndarray:
    missing = column.is_null().to_numpy().astype(bool)
    if column.dtype.is_float():
        missing = missing | np.isnan(column.to_numpy().astype(np.float64))
    return np.asarray(missing)


def _numbers(name: str, column: nw.Series[Any]) -> Floats:
    """A numeric column as float64; whole numbers that float64 cannot hold are refused."""
    values = column.to_numpy()
    if column.dtype.is_integer() and len(values) and max(abs(int(values.max())), abs(int(values.min()))) > 2**53:
        raise InputError(f"column {name!r} holds whole numbers beyond 2^53, which float64 rounds. Give it as text.")
    return np.asarray(values, dtype=np.float64)


def _whole(values: Floats, dtype: Any) -> bool:
    """Whether an integer column of this type can hold these values."""
    name = str(dtype).lower()
    low, high = (np.iinfo(name).min, np.iinfo(name).max) if not name.endswith("128") else (-np.inf, np.inf)
    return bool((values == np.trunc(values)).all() and (values >= low).all() and (values <= high).all())


def _refuse_strangers(name: str, values: list[Any], like: nw.Series[Any]) -> None:
    """Raise ``InputError`` if a column with fixed categories does not know some of ``values``."""
    fixed = isinstance(like.dtype, nw.Enum) or (
        isinstance(like.dtype, nw.Categorical) and like.implementation.is_pandas()
    )
    if not fixed or not values:
        return
    known = set(like.to_native().cat.categories if like.implementation.is_pandas() else like.dtype.categories)
    lost = [value for value in values if value not in known]
    if lost:
        raise InputError(
            f"column {name!r} has no category {', '.join(map(repr, lost[:5]))}: its type is {like.dtype}. "
            f"Give all rows the same categories."
        )


def _restore(name: str, values: list[Any], like: nw.Series[Any]) -> nw.Series[Any]:
    """The levels as a column of the very type of the caller's, pandas categories and their order included."""
    text = (
        nw.String if isinstance(like.dtype, nw.Categorical | nw.Enum) and not like.implementation.is_pandas() else None
    )
    return _typed(nw.new_series(name, values, dtype=text, backend=like.implementation), like)


def _typed(series: nw.Series[Any], like: nw.Series[Any]) -> nw.Series[Any]:
    """The column in the other's type; pandas has types of its own that narwhals does not tell apart."""
    if like.implementation.is_pandas():
        return nw.from_native(series.to_native().astype(like.to_native().dtype), series_only=True)
    return series.cast(like.dtype)
