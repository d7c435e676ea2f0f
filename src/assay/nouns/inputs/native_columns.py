# SPDX-License-Identifier: Apache-2.0
"""Columns of data frames as float64 numbers and back, in the library and the type of the caller's own column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import narwhals as nw
import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks

NULL = float(np.uint64(0x7FF80000000007A2).view(np.float64))
"""A NaN with bits of its own, for null in libraries whose float columns tell null from NaN (polars, pyarrow)."""

MAX_WHOLE = 2**53
"""The largest whole number up to which float64 represents all."""


def is_numeric(column: nw.Series[Any]) -> bool:
    """Whether a column holds numbers; pandas' sparse columns of numbers do."""
    return bool(column.dtype.is_numeric()) or _sparse_kind(column) in ("i", "u", "f")


def dense_column(column: nw.Series[Any]) -> nw.Series[Any]:
    """A pandas column that is stored sparse, as an ordinary one; any other column unchanged."""
    if not _sparse_kind(column):
        return column
    return nw.from_native(column.to_native().sparse.to_dense(), series_only=True)


def _sparse_kind(column: nw.Series[Any]) -> str:
    """The kind of number in a sparse pandas column, as numpy's letter; empty for other columns."""
    if not column.implementation.is_pandas():
        return ""
    dtype = column.to_native().dtype
    return str(dtype.subtype.kind) if hasattr(dtype, "fill_value") and hasattr(dtype, "subtype") else ""


def missing_kind(value: Any) -> str:
    """``"None"``, ``"NaN"``, ``"NA"`` or ``"NaT"`` for a missing value; empty for any other."""
    if value is None:
        return "None"
    if type(value).__name__ in ("NAType", "NaTType"):
        return type(value).__name__[:-4]
    if isinstance(value, float | np.floating | Decimal) and value != value:
        return "NaN"
    return "NaT" if isinstance(value, np.datetime64 | np.timedelta64) and np.isnat(value) else ""


def is_missing(column: nw.Series[Any]) -> Masks:
    """Which values (row,) of a column are missing: null, None, NaN, NA or NaT."""
    missing = np.array(column.is_null().to_numpy(), dtype=bool)
    if column.dtype.is_float():
        missing |= np.isnan(column.cast(nw.Float64).fill_null(np.nan).to_numpy().astype(np.float64))
    elif column.dtype == nw.Object:
        missing |= np.array([bool(missing_kind(value)) for value in column.to_list()], dtype=bool)
    return missing


def to_numbers(name: str, column: nw.Series[Any], missing: Masks) -> Floats:
    """A column of numbers or booleans as float64, NaN or ``NULL`` where ``missing``.

    Raises ``InputError`` for a column of anything else, and for whole numbers that float64 does not represent.
    """
    numbers = np.full(len(missing), np.nan)
    if column.implementation.is_polars() or column.implementation.is_pyarrow():
        numbers[np.array(column.is_null().to_numpy(), dtype=bool)] = NULL
    known = ~missing
    if not known.any():
        return numbers
    if column.dtype == nw.Object:
        values = [value for value, there in zip(column.to_list(), known) if there]
        if not all(isinstance(value, Real | Decimal | np.bool_) for value in values):
            raise InputError(f"column {name!r} is {column.dtype}; it was numeric in the first frame.")
    elif not (column.dtype.is_numeric() or column.dtype == nw.Boolean):
        raise InputError(f"column {name!r} is {column.dtype}; it was numeric in the first frame.")
    elif "128" in str(column.dtype) or column.dtype.is_decimal():
        values = [value for value, there in zip(column.to_list(), known) if there]
    else:
        values = (column if known.all() else column.filter(known.tolist())).to_numpy()
    whole = column.dtype.is_integer() or column.dtype == nw.Object
    if whole and any(
        isinstance(end, int | np.integer) and abs(int(end)) > MAX_WHOLE for end in (min(values), max(values))
    ):
        raise InputError(f"column {name!r} holds integers beyond 2^53, which float64 rounds. Convert it to text.")
    numbers[known] = np.asarray(values, dtype=np.float64)
    return numbers


def from_numbers(name: str, values: Floats, like: nw.Series[Any]) -> nw.Series[Any]:
    """Numbers (row,) as a column of the type of ``like``; of floats where that type does not represent them."""
    library, dtype = like.implementation, like.dtype
    gaps = np.isnan(values)
    if not library.is_pandas_like() and gaps.any():
        null = gaps & ((values.view(np.uint64) == np.float64(NULL).view(np.uint64)) | (not dtype.is_float()))
        column = nw.new_series(
            name, [None if no else v for v, no in zip(values.tolist(), null)], nw.Float64, backend=library
        )
    else:
        column = nw.new_series(name, np.ascontiguousarray(values), backend=library)
    kind = _sparse_kind(like)
    whole = dtype.is_integer() or kind in ("i", "u")
    if whole and not _fits_integers(values, gaps, like, kind):
        return column
    if whole and not library.is_pandas_like():
        numbers = [None if gap else int(v) for v, gap in zip(values.tolist(), gaps)]
        return _of_type(name, numbers, like)
    if not kind and not dtype.is_numeric():
        return column
    return _cast(column, like)


def _fits_integers(values: Floats, gaps: Masks, like: nw.Series[Any], sparse_kind: str) -> bool:
    """Whether a column of this integer type can represent these values; missing ones need a nullable type."""
    native = like.to_native().dtype if like.implementation.is_pandas() else None
    if gaps.any() and native is not None and (sparse_kind or not hasattr(native, "na_value")):
        return False
    name = str(native.subtype if sparse_kind and native is not None else like.dtype).lower()
    low, high = (np.iinfo(name).min, np.iinfo(name).max) if not name.endswith("128") else (-math.inf, math.inf)
    known = values[~gaps]
    return bool((known == np.trunc(known)).all() and (known >= low).all() and (known <= high).all())


def from_values(name: str, values: Sequence[Any], like: nw.Series[Any]) -> nw.Series[Any]:
    """Values of any kind as a column of the type of ``like``, or where that type lacks one of them, of a wider type.

    A pandas or polars type of fixed categories is widened by the new ones, which come last.
    """
    try:
        column = _of_type(name, values, like)
    except Exception:  # noqa: BLE001  # each library has its own errors
        column = None
    if column is not None and _is_same(values, column.to_list()):
        return column
    return _wider(name, values, like)


def _wider(name: str, values: Sequence[Any], like: nw.Series[Any]) -> nw.Series[Any]:
    """Values that the type of ``like`` lacks, as a column of a type that has them."""
    if like.implementation.is_pandas():
        pandas, native = like.implementation.to_native_namespace(), like.to_native()
        raw = pandas.Series(list(values), dtype=object, name=name)
        if isinstance(native.dtype, pandas.CategoricalDtype):
            known = list(native.dtype.categories)
            new = [value for value in dict.fromkeys(values) if value not in set(known) and not missing_kind(value)]
            wide = pandas.CategoricalDtype([*known, *new], ordered=native.dtype.ordered)
            return nw.from_native(raw.astype(wide), series_only=True)
        if native.dtype == bool and any(missing_kind(value) == "NA" for value in values):
            return nw.from_native(raw.astype("boolean"), series_only=True)
        return nw.from_native(raw, series_only=True)
    if like.implementation.is_polars() and isinstance(like.dtype, nw.Enum):
        new = [value for value in dict.fromkeys(values) if value is not None and value not in like.dtype.categories]
        text = nw.new_series(name, list(values), nw.String, backend=like.implementation)
        return text.cast(nw.Enum([*like.dtype.categories, *new]))
    try:
        return nw.new_series(name, list(values), backend=like.implementation)
    except Exception as error:
        raise InputError(
            f"column {name!r} is {like.dtype} in the first frame; other rows hold values of another type, and "
            f"{like.implementation.value} has no column of both ({error})."
        ) from error


def _of_type(name: str, values: Sequence[Any], like: nw.Series[Any]) -> nw.Series[Any]:
    """Values as a column of exactly the type of ``like``."""
    library, native = like.implementation, like.to_native()
    if library.is_pandas():
        pandas = library.to_native_namespace()
        raw = pandas.Series(list(values), dtype=object, name=name)
        return nw.from_native(raw.astype(native.dtype), series_only=True)
    if library.is_pyarrow():
        arrow = library.to_native_namespace()
        kind = native.type
        if arrow.types.is_dictionary(kind):
            levels = list(native.chunk(0).dictionary.to_pylist()) if native.num_chunks else []
            levels = list(dict.fromkeys([*levels, *(value for value in values if not missing_kind(value))]))
            place = {level: i for i, level in enumerate(levels)}  # in the caller's order, which codes depend on
            codes = [None if missing_kind(value) else place[value] for value in values]
            coded = arrow.DictionaryArray.from_arrays(
                arrow.array(codes, kind.index_type), arrow.array(levels, kind.value_type), ordered=kind.ordered
            )
            return nw.from_native(arrow.chunked_array([coded]), series_only=True).alias(name)
        return nw.from_native(arrow.chunked_array([arrow.array(list(values), kind)]), series_only=True).alias(name)
    text = nw.String if isinstance(like.dtype, nw.Categorical | nw.Enum) else None
    return nw.new_series(name, list(values), text, backend=library).cast(like.dtype)


def _cast(column: nw.Series[Any], like: nw.Series[Any]) -> nw.Series[Any]:
    """The column in the other's own type; pandas and pyarrow have types that narwhals does not distinguish."""
    if like.implementation.is_pandas():
        return nw.from_native(column.to_native().astype(like.to_native().dtype), series_only=True)
    if like.implementation.is_pyarrow():
        return nw.from_native(column.to_native().cast(like.to_native().type), series_only=True).alias(column.name)
    return column.cast(like.dtype)


def _is_same(values: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether both hold the same values, missing at the same places."""
    for one, other in zip(values, others):
        gap, other_gap = missing_kind(one), missing_kind(other)
        if bool(gap) != bool(other_gap) or (not gap and not bool(one == other)):
            return False
        if not gap and isinstance(one, bool | np.bool_) != isinstance(other, bool | np.bool_):
            return False
    return True
