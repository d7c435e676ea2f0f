"""Frames with gaps, in every type of column of three libraries, as numbers and back: the very same frame."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from assay.basics.errors import InputError
from assay.nouns.inputs.frames import Table
from assay.nouns.inputs.native_columns import missing_kind
from assay.nouns.inputs.rows import Rows, dense_array
from assay.nouns.inputs.sparse_rows import dense_to_sparse, sparse_to_dense

DAYS = [dt.date(2020, 1, 1), None, dt.date(2021, 1, 1)]
TIMES = [dt.datetime(2020, 1, 1), None, dt.datetime(2021, 1, 1, 3)]
ARROW = pd.ArrowDtype

PANDAS: dict[str, pd.Series] = {
    "object with None": pd.Series(["a", None, "b"], dtype=object),
    "object with NaN": pd.Series(["a", np.nan, "b"], dtype=object),
    "object with NA": pd.Series(["a", pd.NA, "b"], dtype=object),
    "object with all three": pd.Series(["a", None, np.nan, pd.NA], dtype=object),
    "object of several types": pd.Series(["a", 1, 2.5, None, pd.NA], dtype=object),
    "object of 1, True and 1.0": pd.Series([1, True, 1.0, 1], dtype=object),
    "object of flags": pd.Series([True, None, False], dtype=object),
    "object of whole numbers": pd.Series([1, None, 3], dtype=object),
    "object of dates": pd.Series(DAYS, dtype=object),
    "object of nothing": pd.Series([None, None], dtype=object),
    "str": pd.Series(["a", np.nan, "b"], dtype="str"),
    "string": pd.Series(["a", pd.NA, "b"], dtype="string"),
    "string of Python": pd.Series(["a", pd.NA, "b"], dtype=pd.StringDtype("python")),
    "category": pd.Series(["a", None, "b"], dtype="category"),
    "category of numbers": pd.Series([1, None, 3], dtype="category"),
    "category of large numbers": pd.Series([2**60 + 1, None], dtype="category"),
    "category of flags": pd.Series([True, None, False], dtype="category"),
    "category with unused levels, ordered": pd.Series(pd.Categorical(["a", None, "b"], ["z", "b", "a"], ordered=True)),
    "category of intervals": pd.Series(pd.cut([1.0, np.nan, 5.0], [0, 2, 9])),
    "bool": pd.Series([True, False, True]),
    "boolean": pd.Series([True, None, False], dtype="boolean"),
    "Int64": pd.Series([1, None, 3], dtype="Int64"),
    "UInt8": pd.Series([1, None, 3], dtype="UInt8"),
    "Float64": pd.Series([1, None, 3.5], dtype="Float64"),
    "float64": pd.Series([1, None, 3.5]),
    "float32": pd.Series([1, None, 3.5], dtype="float32"),
    "datetime": pd.Series(TIMES, dtype="datetime64[ns]"),
    "datetime of microseconds": pd.Series(TIMES, dtype="datetime64[us]"),
    "datetime with a zone": pd.Series(pd.to_datetime(TIMES)).dt.tz_localize("Europe/Berlin"),
    "timedelta": pd.Series(pd.to_timedelta([1, None, 3], unit="D")),
    "period": pd.Series(pd.PeriodIndex(["2020-01", None, "2020-03"], freq="M")),
    "arrow text": pd.Series(["a", None, "b"], dtype=ARROW(pa.string())),
    "arrow whole numbers": pd.Series([1, None, 3], dtype=ARROW(pa.int64())),
    "arrow floats": pd.Series([1, None, 3], dtype=ARROW(pa.float64())),
    "arrow flags": pd.Series([True, None, False], dtype=ARROW(pa.bool_())),
    "arrow times": pd.Series(TIMES, dtype=ARROW(pa.timestamp("us"))),
    "arrow dates": pd.Series(DAYS, dtype=ARROW(pa.date32())),
    "arrow dictionary": pd.Series(["a", None, "b"], dtype=ARROW(pa.dictionary(pa.int32(), pa.string()))),
    "arrow decimals": pd.Series([Decimal("1.50"), None], dtype=ARROW(pa.decimal128(10, 2))),
    "sparse floats": pd.Series(pd.arrays.SparseArray([0.0, 0.0, 2.0])),
    "sparse floats with gaps": pd.Series(pd.arrays.SparseArray([np.nan, 0.0, 2.0])),
    "sparse whole numbers": pd.Series(pd.arrays.SparseArray([0, 0, 2])),
    "sparse flags": pd.Series(pd.arrays.SparseArray([True, False])),
}
POLARS: dict[str, pl.Series] = {
    "String": pl.Series(["a", None, "b"]),
    "Categorical": pl.Series(["a", None, "b"], dtype=pl.Categorical),
    "Enum": pl.Series(["a", None, "b"], dtype=pl.Enum(["z", "b", "a"])),
    "Boolean": pl.Series([True, None, False]),
    "Int64": pl.Series([1, None, 3]),
    "UInt8": pl.Series([1, None, 3], dtype=pl.UInt8),
    "Int128": pl.Series([1, None, 3], dtype=pl.Int128),
    "Float64 with null": pl.Series([1.0, None, 3.0]),
    "Float64 with NaN": pl.Series([1.0, float("nan"), 3.0]),
    "Float64 with both": pl.Series([1.0, float("nan"), None]),
    "Float32": pl.Series([1.0, None], dtype=pl.Float32),
    "Date": pl.Series(DAYS),
    "Datetime": pl.Series(TIMES),
    "Datetime with a zone": pl.Series(TIMES).dt.replace_time_zone("UTC"),
    "Duration": pl.Series([dt.timedelta(1), None]),
    "Time": pl.Series([dt.time(3), None]),
    "Decimal": pl.Series([Decimal("1.50"), None]),
    "Null": pl.Series([None, None]),
    "Binary": pl.Series([b"a", None]),
}
PYARROW: dict[str, Any] = {
    "string": pa.array(["a", None, "b"]),
    "large string": pa.array(["a", None], pa.large_string()),
    "string view": pa.array(["a", None], pa.string_view()),
    "dictionary": pa.array(["a", None, "b"]).dictionary_encode(),
    "flags": pa.array([True, None]),
    "whole numbers": pa.array([1, None]),
    "small numbers": pa.array([1, None], pa.uint8()),
    "floats with null": pa.array([1.5, None]),
    "floats with NaN": pa.array([1.5, float("nan")]),
    "float32": pa.array([1.5, None], pa.float32()),
    "times": pa.array(TIMES),
    "times with a zone": pa.array(TIMES, pa.timestamp("us", "UTC")),
    "dates": pa.array(DAYS),
    "dates of 64 bits": pa.array(DAYS, pa.date64()),
    "decimals": pa.array([Decimal("1.50"), None]),
    "nothing": pa.nulls(2),
}


@pytest.mark.parametrize("kind", PANDAS)
def test_a_pandas_column_with_gaps_comes_back_with_its_type_and_marker(kind: str) -> None:
    frame = pd.DataFrame({"c": PANDAS[kind], "n": np.arange(len(PANDAS[kind]), dtype=float)})
    table = Table.of(frame)
    matrix = table.encode(frame, gaps=True)
    back = table.decode(matrix)
    pd.testing.assert_frame_equal(back, frame)
    assert list(map(missing_kind, back["c"])) == list(map(missing_kind, frame["c"]))
    assert list(map(type, back["c"])) == list(map(type, frame["c"]))
    shown = [table.format_cell(0, value) == "missing" for value in matrix[:, 0]]
    assert shown == [bool(missing_kind(value)) for value in frame["c"]]


@pytest.mark.parametrize("kind", POLARS)
def test_a_polars_column_with_gaps_comes_back_with_its_type_and_marker(kind: str) -> None:
    frame = pl.DataFrame({"c": POLARS[kind], "n": np.arange(len(POLARS[kind]), dtype=float)})
    table = Table.of(frame)
    matrix = table.encode(frame, gaps=True)
    back = table.decode(matrix)
    assert back.schema == frame.schema
    assert back.equals(frame)
    assert back["c"].is_null().to_list() == frame["c"].is_null().to_list()
    assert [table.format_cell(0, v) == "missing" for v in matrix[:, 0]] == list(
        map(bool, map(missing_kind, frame["c"]))
    )


@pytest.mark.parametrize("kind", PYARROW)
def test_a_pyarrow_column_with_gaps_comes_back_with_its_type_and_marker(kind: str) -> None:
    frame = pa.table({"c": PYARROW[kind], "n": np.arange(len(PYARROW[kind]), dtype=float)})
    table = Table.of(frame)
    back = table.decode(table.encode(frame, gaps=True))
    assert back.schema == frame.schema
    assert str(back["c"].to_pylist()) == str(frame["c"].to_pylist())


def column(library: Any, kind: Any, convert: Any = None) -> Any:
    """A function that makes a column of this type of a list, in which None is missing."""
    return lambda v: library.Series([x if convert is None else convert(x) for x in v], dtype=kind)


def pandas_columns(*kinds: Any) -> dict[str, Any]:
    return {str(kind): column(pd, kind) for kind in kinds}


def fitting_enum(v: list[Any]) -> pl.Series:
    return pl.Series(v, dtype=pl.Enum(sorted({x for x in v if x is not None})))


NULLS = {"Null": lambda v: pl.Series([None] * len(v))}
FAMILIES: dict[str, tuple[list[Any], list[Any], dict[str, Any]]] = {
    "pandas text": (
        ["a", "c", "b"],
        ["b", None, "z"],
        pandas_columns("object", "str", "string", "category", ARROW(pa.string())),
    ),
    "pandas flags": (
        [True, False, True],
        [False, None, True],
        pandas_columns("object", "bool", "boolean", "category", ARROW(pa.bool_())),
    ),
    "pandas numbers": (
        [1, 0, 1],
        [2, None, 0],
        pandas_columns("object", "int64", "float64", "Int64", "Float64", ARROW(pa.int64())),
    ),
    "pandas dates": (
        [TIMES[0], TIMES[2]],
        [TIMES[2], None],
        pandas_columns("object", "datetime64[ns]", "datetime64[us]", ARROW(pa.timestamp("us"))),
    ),
    "polars text": (
        ["a", "c", "b"],
        ["b", None, "z"],
        {
            "String": column(pl, pl.String),
            "Categorical": column(pl, pl.Categorical),
            "Enum": fitting_enum,
            **NULLS,
        },
    ),
    "polars numbers": (
        [1, 0, 1],
        [0, None, 1],
        {
            "Int64": column(pl, pl.Int64),
            "Int8": column(pl, pl.Int8),
            "Float64": column(pl, pl.Float64, lambda x: None if x is None else float(x)),
            "NaN": column(pl, pl.Float64, lambda x: float("nan") if x is None else float(x)),
            "Boolean": column(pl, pl.Boolean, lambda x: None if x is None else bool(x)),
            **NULLS,
        },
    ),
}
"""Columns that hold the same kind of values: complete ones, ones with a gap, and the types that hold them."""

WITHOUT_GAPS = ("bool", "int64")
"""Types that hold no missing values."""

COUPLES = [
    pytest.param(family, one, other, gap_first, id=f"{family}: {one}, {other}, {'rows' if gap_first else 'others'}")
    for family, (_, _, types) in FAMILIES.items()
    for one in types
    for other in types
    for gap_first in (False, True)
    if (one if gap_first else other) not in WITHOUT_GAPS
]


@pytest.mark.parametrize(("family", "one", "other", "gap_first"), COUPLES)
def test_other_rows_keep_their_values_and_gaps_beside_rows_of_another_type(
    family: str, one: Any, other: Any, gap_first: bool
) -> None:
    full, gaps, types = FAMILIES[family]
    frame = pd.DataFrame if family.startswith("pandas") else pl.DataFrame
    rows = frame({"c": types[one](gaps if gap_first else full)})
    background = frame({"c": types[other](full if gap_first else gaps)})
    table = Table.of(rows)
    first, second = table.encode(rows, gaps=True), table.encode(background, gaps=True)
    assert str(table.decode(first)["c"].dtype) == str(rows["c"].dtype)
    for matrix, right in (
        (first, [rows]),
        (second, [background]),
        (np.concatenate([first, second]), [rows, background]),
    ):
        found = list(table.decode(matrix)["c"])
        expected = [value for part in right for value in part["c"]]
        assert [bool(missing_kind(v)) for v in found] == [bool(missing_kind(v)) for v in expected]
        assert all(missing_kind(a) or a == b for a, b in zip(found, expected)), (found, expected)


def test_a_function_is_not_given_categories_whose_positions_would_shift() -> None:
    table = Table.of(pd.DataFrame({"c": pd.Categorical(["b"], ["b", "c"])}))
    background = pd.DataFrame({"c": pd.Categorical(["a"], ["a", "b", "c"])})
    with pytest.raises(InputError, match="'c' has no category 'a'"):
        table.encode(background)
    wide = table.decode(table.encode(background, gaps=True))["c"].dtype
    assert list(wide.categories) == ["b", "c", "a"]


@pytest.mark.parametrize("marker", [None, np.nan, pd.NA, pd.NaT])
def test_a_level_named_missing_is_no_gap(marker: Any) -> None:
    frame = pd.DataFrame({"c": pd.Series(["missing", marker], dtype=object)})
    table = Table.of(frame)
    rows = Rows(table.encode(frame, gaps=True), ("0", "1"), table=table, gaps=True)
    assert rows.missing_cells.tolist() == [[False], [True]]
    other = Rows(rows.x[::-1], ("0", "1"), table=table, gaps=True)
    assert rows.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"c": [[1, 2], [3]]}),
        pl.DataFrame({"c": [[1], [2, 3]]}),
        pl.DataFrame({"c": [{"a": 1}, {"a": 2}]}),
        pa.table({"c": [[1], [2]]}),
        pd.DataFrame({"c": [{1}, None]}),
    ],
    ids=["pandas lists", "polars lists", "polars structs", "pyarrow lists", "pandas sets"],
)
def test_cells_of_several_values_are_refused_by_name(frame: Any) -> None:
    with pytest.raises(InputError, match="column 'c' holds cells of several values each"):
        Table.of(frame).encode(frame, gaps=True)


@pytest.mark.parametrize(
    "names", [[0, 1], [("a", "b"), ("a", "c")], [1.5, "x"]], ids=["whole", "several levels", "mixed"]
)
def test_column_names_that_are_no_texts_come_back(names: list[Any]) -> None:
    frame = pd.DataFrame([[1.0, "u"], [2.0, None]])
    frame.columns = pd.MultiIndex.from_tuples(names) if isinstance(names[0], tuple) else names
    table = Table.of(frame)
    assert all(isinstance(name, str) for name in table.names)
    pd.testing.assert_frame_equal(table.decode(table.encode(frame, gaps=True)), frame)


MATRICES = [
    *(sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix, sparse.lil_matrix, sparse.dok_matrix),
    *(sparse.bsr_matrix, sparse.dia_matrix, sparse.csr_array, sparse.csc_array, sparse.coo_array),
]


@pytest.mark.parametrize("kind", MATRICES)
def test_a_sparse_matrix_comes_back_with_its_class_and_its_elements(kind: Any) -> None:
    given = kind(np.array([[0.0, 1.5, 0.0], [np.nan, 0.0, -2.0]]))
    dense = sparse_to_dense(given)
    np.testing.assert_array_equal(dense, given.toarray())
    back = dense_to_sparse(dense, type(given))
    assert type(back) is type(given)
    np.testing.assert_array_equal(back.toarray(), given.toarray())


def test_a_stored_zero_stays_stored_and_an_element_left_out_stays_left_out() -> None:
    given = sparse.csr_matrix(np.array([[1.0, 2.0, 0.0], [0.0, 3.0, 4.0]]))
    given.data[1] = 0.0
    back = dense_to_sparse(sparse_to_dense(given), sparse.csr_matrix)
    np.testing.assert_array_equal(back.indices, given.indices)
    np.testing.assert_array_equal(back.data, given.data)
    assert not np.signbit(back.data).any()
    twice = sparse.coo_matrix(([1.0, -1.0, 5.0], ([0, 0, 0], [1, 1, 2])), shape=(1, 3))
    np.testing.assert_array_equal(sparse_to_dense(twice), [[0.0, 0.0, 5.0]])


def test_masked_elements_are_missing_and_numbers_in_objects_are_numbers() -> None:
    masked = np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[False, True], [False, False]])
    np.testing.assert_array_equal(dense_array(masked), [[1.0, np.nan], [3.0, 4.0]])
    np.testing.assert_array_equal(
        dense_array(np.array([[None, 1], [2.5, True]], dtype=object)), [[np.nan, 1.0], [2.5, 1.0]]
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            np.array([(1.0, 2.0)], dtype=[("a", float), ("b", float)]),
            r"named fields \['a', 'b'\].*structured_to_unstructured",
        ),
        (np.rec.array([(1.0, 2.0)]), "named fields"),
        (np.ma.array([(1.0, 2.0)], dtype=[("a", float), ("b", float)]), "named fields"),
        ([[1.0, 2.0], [3.0]], "rows of equal length"),
        ({"a": [1.0]}, "no matrix of numbers"),
    ],
    ids=["structured", "records", "masked records", "ragged", "mapping"],
)
def test_rows_that_are_no_matrix_are_refused(rows: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dense_array(rows)
