# SPDX-License-Identifier: Apache-2.0
"""Data frames as float64 matrices and back, without loss."""

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
    """Whether ``data`` is a data frame that narwhals supports (pandas, polars, pyarrow, …)."""
    try:
        return isinstance(nw.from_native(data, pass_through=True, eager_only=True), nw.DataFrame)
    except nw.exceptions.DuplicateError:
        return True


def open_frame(frame: Any) -> nw.DataFrame[Any]:
    """The frame as a narwhals frame; raises ``InputError`` on repeated column names."""
    try:
        return nw.from_native(frame, eager_only=True)
    except nw.exceptions.DuplicateError as error:
        message = " ".join(str(error).split())
        raise InputError(f"column names repeat ({message}). Each column needs a different name.") from error


@dataclass(frozen=True)
class Levels:
    """The distinct values of a coded column so far; the code of a value never changes.

    Values that come later (a background usually has more than the rows explained) are appended.
    """

    codes: dict[Any, int] = field(default_factory=dict)
    values: list[Any] = field(default_factory=list)

    def encode(self, column: Sequence[Any]) -> Floats:
        """The code of each value, (row,)."""
        for value in column:
            if value not in self.codes:
                self.codes[value] = len(self.values)
                self.values.append(value)
        return np.array([self.codes[value] for value in column], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Table:
    """The encoding of a frame's columns as numbers: numeric columns unchanged, all others as codes of their levels.

    Decoding gives a frame of the caller's library and column types; integer columns whose values were replaced by
    fractions (a mean, say) come back as floats.
    """

    names: tuple[str, ...]
    dtypes: tuple[Any, ...]
    native: Any
    levels: tuple[Levels | None, ...]

    @staticmethod
    def of(frame: Any) -> Table:
        """The table of a frame's columns; raises ``InputError`` on repeated or non-text names."""
        wrapped = open_frame(frame)
        names = tuple(wrapped.columns)
        not_text = [name for name in names if not isinstance(name, str)]
        if not_text:
            raise InputError(f"column names must be text; found {not_text[:5]!r}. Rename them.")
        dtypes = tuple(wrapped.schema.values())  # narwhals computes the types of all columns for any one
        levels = tuple(None if dtype.is_numeric() else Levels() for dtype in dtypes)
        return Table(names, dtypes, wrapped[:0].to_native(), levels)

    @property
    def coded(self) -> np.ndarray:
        """Which columns are coded, (column,)."""
        return np.array([level is not None for level in self.levels])

    def encode(self, frame: Any, *, gaps: bool = False) -> Floats:
        """The frame as a matrix (row, column), columns matched by name; ``gaps`` allows missing numbers."""
        wrapped, empty = open_frame(frame), open_frame(self.native)
        check_columns(wrapped.columns, self.names)
        complete = [n for n, level in zip(self.names, self.levels) if not gaps or level is not None]
        missing = {n: np.flatnonzero(_is_missing(wrapped[n])) for n in complete}
        missing = {name: rows for name, rows in missing.items() if len(rows)}
        if missing:
            name, rows = next(iter(missing.items()))
            raise InputError(
                f"{len(missing)} column(s) hold missing values: {name!r} in row(s) {list_first(rows)}. assay explains "
                f"complete rows; drop or impute these first{MISSING_TEXT_ADVICE if gaps else ''} "
                f"(an imputer can be part of the data, not of the model)."
            )
        columns = []
        for name, level in zip(self.names, self.levels):
            column = wrapped[name]
            if level is None:
                if not column.dtype.is_numeric():
                    raise InputError(f"column {name!r} is {column.dtype}; it was numeric in the first frame.")
                columns.append(_numbers(name, column))
            else:
                values = column.to_list()
                _refuse_unknown_categories(
                    name, [v for v in dict.fromkeys(values) if v not in level.codes], empty[name]
                )
                columns.append(level.encode(values))
        return np.column_stack(columns) if columns else np.empty((len(wrapped), 0))

    def decode(self, matrix: Floats) -> Any:
        """The matrix as a frame of the caller's library and column types."""
        empty = open_frame(self.native)
        if self.names and all(dtype == nw.Float64 for dtype in self.dtypes):
            return self._all_floats(matrix, empty)
        columns = []
        for name, dtype, level, values in zip(self.names, self.dtypes, self.levels, matrix.T):
            if level is None:
                series = nw.new_series(name, values, backend=empty.implementation)
                if dtype.is_float() or dtype.is_decimal() or _fits_integers(values, dtype):
                    series = _cast_like(series, empty[name])
            else:
                categories = _decode_levels(name, level.values, empty[name])
                series = categories[values.astype(np.int64)]
            columns.append(series)
        return nw.concat([nw.from_dict({s.name: s for s in columns})]).to_native() if columns else self.native

    def _all_floats(self, matrix: Floats, empty: nw.DataFrame[Any]) -> Any:
        """A frame of float64 columns straight from the matrix, without a loop over columns."""
        frame = nw.from_numpy(matrix, list(self.names), backend=empty.implementation)
        native = frame.to_native()
        if empty.implementation.is_pandas() and not native.dtypes.equals(self.native.dtypes):
            return native.astype(self.native.dtypes)  # pandas has two types that narwhals calls Float64
        return native

    def format_cell(self, position: int, value: float) -> str:
        """A cell of column ``position`` as text."""
        level = self.levels[position]
        return f"{value:.6g}" if level is None else str(level.values[int(value)])

    def encode_value(self, position: int, value: Any) -> float:
        """The number that encodes a value in column ``position``."""
        level, name = self.levels[position], self.names[position]
        if level is not None:
            _refuse_unknown_categories(name, [value], open_frame(self.native)[name])
            return float(level.encode([value])[0])
        if isinstance(value, str) or not np.isfinite(float(value)):
            raise InputError(f"column {name!r} holds numbers; got {value!r}.")
        return float(value)

    def cell_values(self, matrix: Floats) -> tuple[Any, ...]:
        """The columns in a form that does not depend on the codes, for fingerprints."""
        return tuple(
            matrix[:, i] if level is None else [str(level.values[int(code)]) for code in matrix[:, i]]
            for i, level in enumerate(self.levels)
        )

    @property
    def backend(self) -> str:
        """The library of the frame: pandas, polars, pyarrow, …"""
        return str(open_frame(self.native).implementation.value)

    def settings(self) -> Mapping[str, str]:
        """Column names and types as text."""
        return {name: str(dtype) for name, dtype in zip(self.names, self.dtypes)}


MISSING_TEXT_ADVICE = ", or encode missing text as a separate category"


def check_columns(found: Sequence[str], needed: Sequence[str]) -> None:
    """Raise ``InputError`` that names missing, unexpected and repeated columns."""
    counts, expected = Counter(found), set(needed)
    repeated = [name for name, count in counts.items() if count > 1]
    missing = [name for name in needed if name not in counts]
    extra = [name for name in counts if name not in expected]
    problems = [
        f"{what} {', '.join(map(repr, names[:8]))}{' …' if len(names) > 8 else ''}"
        for what, names in (("missing", missing), ("unexpected", extra), ("repeated", repeated))
        if names
    ]
    if problems:
        raise InputError(
            f"columns do not fit: {'; '.join(problems)}. Give exactly the {len(needed)} columns of the model."
        )


def list_first(rows: Any, limit: int = 8) -> str:
    """The first ``limit`` row numbers as text, and how many there are."""
    rows = [int(row) for row in rows]
    return ", ".join(map(str, rows[:limit])) + (f" … ({len(rows)} in total)" if len(rows) > limit else "")


def _is_missing(column: nw.Series[Any]) -> np.ndarray:
    missing = column.is_null().to_numpy().astype(bool)
    if column.dtype.is_float():
        missing = missing | np.isnan(column.to_numpy().astype(np.float64))
    return np.asarray(missing)


def _numbers(name: str, column: nw.Series[Any]) -> Floats:
    """A numeric column as float64; integers that float64 cannot represent are refused."""
    values = column.to_numpy()
    if column.dtype.is_integer() and len(values) and max(abs(int(values.max())), abs(int(values.min()))) > 2**53:
        raise InputError(f"column {name!r} holds integers beyond 2^53, which float64 rounds. Convert it to text.")
    return np.asarray(values, dtype=np.float64)


def _fits_integers(values: Floats, dtype: Any) -> bool:
    """Whether a column of this integer type can represent these values."""
    name = str(dtype).lower()
    low, high = (np.iinfo(name).min, np.iinfo(name).max) if not name.endswith("128") else (-np.inf, np.inf)
    return bool((values == np.trunc(values)).all() and (values >= low).all() and (values <= high).all())


def _refuse_unknown_categories(name: str, values: list[Any], like: nw.Series[Any]) -> None:
    """Raise ``InputError`` if a column with fixed categories lacks some of ``values``."""
    fixed = isinstance(like.dtype, nw.Enum) or (
        isinstance(like.dtype, nw.Categorical) and like.implementation.is_pandas()
    )
    if not fixed or not values:
        return
    known = set(like.to_native().cat.categories if like.implementation.is_pandas() else like.dtype.categories)
    unknown = [value for value in values if value not in known]
    if unknown:
        raise InputError(
            f"column {name!r} has no category {', '.join(map(repr, unknown[:5]))}: its type is {like.dtype}. "
            f"Use the same categories in all rows."
        )


def _decode_levels(name: str, values: list[Any], like: nw.Series[Any]) -> nw.Series[Any]:
    """The levels as a column of the caller's type, pandas categories and their order included."""
    text = (
        nw.String if isinstance(like.dtype, nw.Categorical | nw.Enum) and not like.implementation.is_pandas() else None
    )
    return _cast_like(nw.new_series(name, values, dtype=text, backend=like.implementation), like)


def _cast_like(series: nw.Series[Any], like: nw.Series[Any]) -> nw.Series[Any]:
    """The column in the other's type; pandas has types that narwhals does not distinguish."""
    if like.implementation.is_pandas():
        return nw.from_native(series.to_native().astype(like.to_native().dtype), series_only=True)
    return series.cast(like.dtype)
