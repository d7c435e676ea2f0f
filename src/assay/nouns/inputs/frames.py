# SPDX-License-Identifier: Apache-2.0
"""Data frames as float64 matrices and back, without loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import narwhals as nw
import numpy as np

from assay.basics.errors import InputError
from assay.basics.optional import need
from assay.basics.types import Floats, Masks
from assay.nouns.inputs.native_columns import (
    dense_column,
    from_numbers,
    from_values,
    is_missing,
    is_numeric,
    missing_kind,
    to_numbers,
)


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
class _Missing:
    """The key of missing values among the levels of a column; ``marker`` tells None, NaN, NA and NaT apart."""

    marker: str = ""

    def __repr__(self) -> str:
        return "missing"


MISSING = _Missing()
"""The key of missing values in columns that have one marker for them."""


@dataclass(frozen=True)
class Levels:
    """The distinct values of a coded column so far; the code of a value never changes.

    Values that come later (a background usually has more than the rows explained) are appended. Columns of Python
    objects (``mixed``) tell 1, 1.0 and True apart, and None from NaN. ``native`` keeps the levels, by their number, as
    a column of the frame's library; ``None`` where the first frame's type lacks one of them.
    """

    codes: dict[Any, int] = field(default_factory=dict)
    values: list[Any] = field(default_factory=list)
    mixed: bool = False
    native: dict[int, Any] = field(default_factory=dict)

    def encode(self, column: Sequence[Any], missing: Any = None) -> Floats:
        """The code of each value, (row,); ``missing`` (row,) says which are missing: a level of its own."""
        gaps = np.zeros(len(column), dtype=bool) if missing is None else missing
        keys = [self.key(value, bool(gap)) for value, gap in zip(column, gaps)]
        for key, value in zip(keys, column):
            if key not in self.codes:
                self.codes[key] = len(self.values)
                self.values.append(value)  # of a missing value the caller's own marker: NaN, None, NA or NaT
        return np.array([self.codes[key] for key in keys], dtype=np.float64)

    def key(self, value: Any, missing: bool) -> Any:
        """What identifies a value among the levels."""
        if missing:
            return _Missing(missing_kind(value)) if self.mixed else MISSING
        if not self.mixed:
            return value
        value = value.item() if isinstance(value, np.generic) and not isinstance(value, np.datetime64) else value
        return (type(value).__name__, value) if isinstance(value, bool | float) else value

    @property
    def missing(self) -> list[int]:
        """The codes of missing values; columns of Python objects may have several."""
        return [code for key, code in self.codes.items() if isinstance(key, _Missing)]

    def text(self, code: float) -> str:
        """A level as text."""
        value = self.values[int(code)]
        return str(MISSING) if missing_kind(value) else str(value)

    def distinct_texts(self) -> list[str]:
        """All levels as texts that differ wherever the levels do."""
        return [f"'{one}" if isinstance(one, str) else f"{type(one).__name__} {one}" for one in self.values]

    def decode(self, name: str, codes: Floats, like: nw.Series[Any]) -> nw.Series[Any]:
        """The values of these codes (row,) as a column of the type of ``like``, or a wider one where it lacks some."""
        which, count = codes.astype(np.int64), len(self.values)
        if like.implementation.is_pyarrow():  # which cannot select from all of its own types
            return from_values(name, [self.values[code] for code in which], like)
        if count not in self.native:
            column = from_values(name, self.values, like)
            self.native[count] = column if column.to_native().dtype == like.to_native().dtype else None
        column = self.native[count]
        if column is None:
            used, which = np.unique(which, return_inverse=True)
            column = from_values(name, [self.values[code] for code in used], like)
        column = column[which]
        if like.implementation.is_pandas():
            return nw.from_native(column.to_native().reset_index(drop=True), series_only=True)
        return column.alias(name)


@dataclass(frozen=True, eq=False)
class Table:
    """The encoding of a frame's columns as numbers: numeric columns unchanged, all others as codes of their levels.

    Decoding gives a frame of the caller's library and column types; integer columns whose values were replaced by
    fractions (a mean, say) come back as floats. ``unread`` are columns of the caller's frame that the model does not
    read: they are left out here, and in other frames.
    """

    names: tuple[str, ...]
    dtypes: tuple[Any, ...]
    native: Any
    levels: tuple[Levels | None, ...]
    labels: Any = None
    array_type: Any = None
    unread: frozenset[str] = frozenset()

    @staticmethod
    def of(frame: Any) -> Table:
        """The table of a frame's columns, whose names become text; raises ``InputError`` on repeated names."""
        wrapped = open_frame(with_text_names(frame))
        names = tuple(wrapped.columns)
        dtypes = tuple(wrapped.schema.values())  # narwhals computes the types of all columns for any one
        levels = tuple(
            None if dtype.is_numeric() or is_numeric(wrapped[name]) else Levels(mixed=_is_mixed(wrapped[name]))
            for name, dtype in zip(names, dtypes)
        )
        labels = getattr(frame, "columns", None) if wrapped.implementation.is_pandas() else None
        labels = None if labels is None or all(isinstance(label, str) for label in labels) else labels
        return Table(names, dtypes, wrapped[:0].to_native(), levels, labels)

    @staticmethod
    def of_array(array: Any) -> Table:
        """The table of a matrix of texts, or of Python objects of several types, which pandas reads for it."""
        return replace(Table.of(_frame_of_array(array)), array_type=array.dtype, labels=None)

    @property
    def is_of_array(self) -> bool:
        """Whether the rows are a matrix of texts or objects, not a frame."""
        return self.array_type is not None

    @property
    def coded(self) -> np.ndarray:
        """Which columns are coded, (column,)."""
        return np.array([level is not None for level in self.levels])

    @property
    def all_integers(self) -> bool:
        """Whether all columns are of integer types."""
        return len(self.dtypes) > 0 and all(dtype.is_integer() for dtype in self.dtypes)

    def encode(self, frame: Any, *, gaps: bool = False, new_categories: bool | None = None) -> Floats:
        """The frame as a matrix (row, column), columns matched by name.

        ``gaps`` allows missing values, ``new_categories`` (by default the same) categories that the type of the first
        frame's column lacks: estimators read both themselves, a function may read a category's position. Raises
        ``InputError`` for cells that are lists or mappings.
        """
        frame = _frame_of_array(frame) if self.is_of_array and isinstance(frame, np.ndarray) else frame
        wrapped, empty = open_frame(with_text_names(frame)), open_frame(self.native)
        check_columns([name for name in wrapped.columns if name not in self.unread], self.names)
        columns = {name: dense_column(wrapped[name]) for name in self.names}
        missing = {name: is_missing(column) for name, column in columns.items()}
        if not gaps:
            _refuse_gaps(missing)
        encoded = []
        for name, level in zip(self.names, self.levels):
            column, gap = columns[name], missing[name]
            if level is None:
                encoded.append(to_numbers(name, column, gap))
                continue
            values = _cells(name, column, gap, empty[name])
            new = [v for v, no in zip(values, gap) if not no and level.key(v, False) not in level.codes]
            if not (gaps if new_categories is None else new_categories):
                _refuse_unknown_categories(name, list(dict.fromkeys(new)), empty[name])
            encoded.append(level.encode(values, gap))
        return np.column_stack(encoded) if encoded else np.empty((len(wrapped), 0))

    def decode(self, matrix: Floats) -> Any:
        """The matrix as a frame of the caller's library and column types, or as a matrix of the caller's type."""
        empty = open_frame(self.native)
        if self.names and all(dtype == nw.Float64 for dtype in self.dtypes) and not self._has_null(matrix, empty):
            return self._with_labels(self._all_floats(matrix, empty))
        columns = []
        for name, level, values in zip(self.names, self.levels, matrix.T):
            like = empty[name]
            columns.append(from_numbers(name, values, like) if level is None else level.decode(name, values, like))
        if not columns:
            return self.native
        return self._with_labels(nw.concat([nw.from_dict({s.name: s for s in columns})]).to_native())

    def _has_null(self, matrix: Floats, empty: nw.DataFrame[Any]) -> bool:
        """Whether numbers are missing in a library whose float columns tell null from NaN."""
        return not empty.implementation.is_pandas_like() and bool(np.isnan(matrix).any())

    def _with_labels(self, frame: Any) -> Any:
        """The frame with the caller's own column names, where these are not texts; a matrix where that was given."""
        if self.is_of_array:
            return frame.to_numpy(dtype=object).astype(self.array_type)
        return frame if self.labels is None else frame.set_axis(self.labels, axis=1)

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
        if level is not None:
            return level.text(value)
        return format_number(value)

    def encode_value(self, position: int, value: Any) -> float:
        """The number that encodes a value in column ``position``; None, NaN, NA and NaT are missing."""
        level, name = self.levels[position], self.names[position]
        if missing_kind(value):
            return np.nan if level is None else float(level.encode([value], [True])[0])
        if level is not None:
            _refuse_unknown_categories(name, [value], open_frame(self.native)[name])
            return float(level.encode([value])[0])
        if isinstance(value, str) or not np.isfinite(float(value)):
            raise InputError(f"column {name!r} holds numbers; got {value!r}.")
        return float(value)

    def cell_values(self, matrix: Floats) -> tuple[Any, ...]:
        """The columns in a form that does not depend on the codes, for fingerprints."""
        return tuple(
            matrix[:, i] if level is None else list(map(level.distinct_texts().__getitem__, matrix[:, i].astype(int)))
            for i, level in enumerate(self.levels)
        )

    @property
    def backend(self) -> str:
        """The library of the frame: pandas, polars, pyarrow, …"""
        return str(open_frame(self.native).implementation.value)

    def settings(self) -> Mapping[str, str]:
        """Column names and types as text."""
        return {name: str(dtype) for name, dtype in zip(self.names, self.dtypes)}


def format_number(value: float) -> str:
    """A number as text."""
    return str(MISSING) if value != value else f"{value + 0.0:.6g}"


def with_text_names(frame: Any) -> Any:
    """The frame with its column names as text.

    A frame made of an array has whole numbers for names; names of several levels are joined by commas.
    """
    columns = list(getattr(frame, "columns", ()))
    if all(isinstance(name, str) for name in columns) or not hasattr(frame, "set_axis"):
        return frame
    texts = [", ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in columns]
    return frame.set_axis(texts, axis=1)


def _frame_of_array(array: Any) -> Any:
    """A matrix of texts or Python objects as a pandas frame, columns of numbers as such."""
    frame = need("pandas", extra="trees").DataFrame(array.astype(object), dtype=object)
    known = frame.infer_objects()
    return with_text_names(frame.astype({name: kind for name, kind in known.dtypes.items() if kind.kind in "iuf"}))


def index_of(frame: Any) -> list[str] | None:
    """The index of a pandas frame as names of rows; ``None`` where it only counts the rows, or repeats."""
    index = getattr(frame, "index", None)
    if index is None or not hasattr(index, "is_unique") or not index.is_unique:
        return None
    names = [str(name) for name in index]
    return None if names == list(map(str, range(len(names)))) or len(set(names)) < len(names) else names


def _refuse_gaps(missing: Mapping[str, np.ndarray]) -> None:
    """Raise ``InputError`` naming the first column with missing values, and its rows."""
    found = {name: np.flatnonzero(gaps) for name, gaps in missing.items() if gaps.any()}
    if found:
        name, rows = next(iter(found.items()))
        raise InputError(
            f"{len(found)} column(s) hold missing values: {name!r} in row(s) {list_first(rows)}. This model or method "
            f"needs complete rows: drop or impute these first, or make an imputer the first step of a Pipeline."
        )


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


def _is_mixed(column: nw.Series[Any]) -> bool:
    """Whether a column holds Python objects, which tell 1 from True and None from NaN."""
    return column.implementation.is_pandas_like() and str(column.to_native().dtype) == "object"


def _cells(name: str, column: nw.Series[Any], missing: Masks, like: nw.Series[Any]) -> list[Any]:
    """The values of a coded column; raises ``InputError`` for cells that cannot be levels, and for another type."""
    values = column.to_list()
    known = [value for value, gap in zip(values, missing) if not gap]
    if column.dtype.is_nested() or not all(isinstance(value, Hashable) for value in known):
        kind = type(known[0]).__name__ if known else column.dtype
        raise InputError(
            f"column {name!r} holds cells of several values each ({kind}); one number, text, category or date a cell "
            f"is needed. Give each element a column of its own."
        )
    if like.dtype == nw.Boolean and column.dtype.is_numeric():
        if not set(known) <= {0, 1}:
            raise InputError(f"column {name!r} is {column.dtype}; it was {like.dtype} in the first frame.")
        return [None if gap else bool(value) for value, gap in zip(values, missing)]
    return values


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
