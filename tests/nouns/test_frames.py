"""Data frames as numbers and back."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import assay
from assay.basics.errors import InputError
from assay.nouns.inputs.frames import Table, check_columns, is_frame
from assay.nouns.inputs.rows import Rows

COLUMNS: dict[str, list[Any]] = {
    "age": [31, 45, 31],
    "income": [1.5, -2.25, 0.1],
    "purpose": ["car", "tv", "car"],
    "owner": [True, False, True],
    "since": [dt.date(2020, 1, 2), dt.date(1999, 12, 31), dt.date(2020, 1, 2)],
}


def pandas_frame() -> pd.DataFrame:
    frame = pd.DataFrame(COLUMNS).astype({"owner": bool})
    frame["since"] = pd.to_datetime(frame["since"])
    frame["band"] = pd.Categorical([3, 1, 3], categories=[1, 2, 3], ordered=True)
    frame["town"] = pd.Categorical(["a", "b", "a"], categories=["b", "a", "c"])
    frame["small"] = np.array([1, 2, 255], dtype=np.uint8)
    frame["maybe"] = pd.array([1, 2, 3], dtype="Int64")
    return frame


def polars_frame() -> pl.DataFrame:
    return pl.DataFrame(COLUMNS).with_columns(
        pl.Series("town", ["a", "b", "a"], dtype=pl.Categorical),
        pl.Series("band", ["lo", "hi", "lo"], dtype=pl.Enum(["lo", "hi"])),
        pl.Series("single", [0.1, 0.2, 0.3], dtype=pl.Float32),
    )


def test_a_pandas_frame_comes_back_with_its_very_types() -> None:
    frame = pandas_frame()
    table = Table.of(frame)
    pd.testing.assert_frame_equal(table.decode(table.encode(frame)), frame)


def test_a_polars_frame_comes_back_with_its_very_types() -> None:
    frame = polars_frame()
    table = Table.of(frame)
    back = table.decode(table.encode(frame))
    assert back.schema == frame.schema
    assert back.equals(frame)


def test_a_pyarrow_table_comes_back() -> None:
    frame = pa.table({"age": [1, 2], "purpose": ["car", "tv"], "owner": [True, False]})
    table = Table.of(frame)
    assert table.decode(table.encode(frame)).to_pydict() == frame.to_pydict()


def test_text_categories_booleans_and_dates_are_coded_and_numbers_are_not() -> None:
    coded = dict(zip(Table.of(pandas_frame()).names, Table.of(pandas_frame()).coded))
    assert {name for name, is_coded in coded.items() if is_coded} == {"purpose", "owner", "since", "band", "town"}


@given(st.lists(st.tuples(st.text(max_size=3), st.floats(-1e9, 1e9)), min_size=1, max_size=8))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_text_and_any_number_survive(rows: list[tuple[str, float]]) -> None:
    frame = pl.DataFrame({"t": [t for t, _ in rows], "f": [f for _, f in rows]})
    table = Table.of(frame)
    assert table.decode(table.encode(frame)).equals(frame)


def test_reordered_columns_are_found_by_name() -> None:
    frame = pandas_frame()
    table = Table.of(frame)
    assert_array_equal(table.encode(frame[frame.columns[::-1]]), table.encode(frame))


def test_a_background_may_hold_text_the_rows_do_not() -> None:
    table = Table.of(pl.DataFrame({"t": ["a"]}))
    first = table.encode(pl.DataFrame({"t": ["a"]}))
    assert_array_equal(table.encode(pl.DataFrame({"t": ["z", "a"]})), [[1.0], [0.0]])
    assert table.decode(first)["t"].to_list() == ["a"]


@pytest.mark.parametrize(
    ("frame", "other"),
    [
        (pd.DataFrame({"town": pd.Categorical(["a"], ["a", "b"])}), pd.DataFrame({"town": ["z"]})),
        (pl.DataFrame({"town": pl.Series(["a"], dtype=pl.Enum(["a", "b"]))}), pl.DataFrame({"town": ["z"]})),
    ],
    ids=["pandas", "polars"],
)
def test_a_category_that_the_columns_type_does_not_know_is_refused_and_leaves_no_trace(frame: Any, other: Any) -> None:
    table = Table.of(frame)
    matrix = table.encode(frame)
    with pytest.raises(InputError, match=r"'town' has no category 'z'"):
        table.encode(other)
    with pytest.raises(InputError, match="'z'"):
        table.encode_value(0, "z")
    assert table.decode(matrix)["town"].to_list() == ["a"]


def test_the_fingerprint_of_rows_does_not_depend_on_the_codes() -> None:
    frame = pl.DataFrame({"t": ["a", "b"], "n": [1.0, 2.0]})
    fresh, used = Table.of(frame), Table.of(frame)
    used.encode(pl.DataFrame({"t": ["b"], "n": [0.0]}))
    one, other = (Rows(table.encode(frame), ("0", "1"), table=table) for table in (fresh, used))
    assert one.x.tolist() != other.x.tolist()
    assert one.fingerprint == other.fingerprint


def test_whole_numbers_replaced_by_a_mean_come_back_as_fractions() -> None:
    table = Table.of(pd.DataFrame({"n": np.array([1, 2], dtype=np.uint8)}))
    assert table.decode(np.array([[1.5]]))["n"].tolist() == [1.5]


@pytest.mark.parametrize("value", [-1.0, 256.0])
def test_numbers_the_columns_type_cannot_hold_are_not_wrapped_round(value: float) -> None:
    table = Table.of(pd.DataFrame({"n": np.array([1, 2], dtype=np.uint8)}))
    assert table.decode(np.array([[value]]))["n"].tolist() == [value]


def test_whole_numbers_that_float64_would_round_are_refused() -> None:
    with pytest.raises(InputError, match=r"'key'.*beyond 2\^53"):
        Table.of(pl.DataFrame({"key": [2**60 + 1]})).encode(pl.DataFrame({"key": [2**60 + 1]}))


@pytest.mark.parametrize("gap", [float("nan"), None])
@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_missing_numbers_are_refused_by_row_and_column(make: Any, gap: float | None) -> None:
    frame = make({"a": [1.0, 2.0, 3.0], "b": [1.0, gap, gap]})
    with pytest.raises(InputError, match=r"'b' in row\(s\) 1, 2"):
        Table.of(frame).encode(frame)


def test_missing_text_is_refused_by_row_and_column() -> None:
    frame = pd.DataFrame({"t": ["x", None]})
    with pytest.raises(InputError, match=r"'t' in row\(s\) 1"):
        Table.of(frame).encode(frame)


def test_missing_extra_and_repeated_columns_are_named() -> None:
    with pytest.raises(InputError, match="missing 'b'; unexpected 'c'; repeated 'a'"):
        check_columns(["a", "a", "c"], ["a", "b"])


def test_a_frame_with_two_columns_of_one_name_is_refused() -> None:
    frame = pd.DataFrame(np.ones((1, 2)), columns=["a", "a"])
    assert is_frame(frame)
    with pytest.raises(InputError, match=r"repeat.*'a'"):
        Table.of(frame)


@pytest.mark.parametrize("names", [None, [3, 7], [0.5, 1], ["a", 1]])
def test_columns_named_by_numbers_are_named_by_texts_and_come_back_as_they_were(names: Any) -> None:
    frame = pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=names)
    table = Table.of(frame)
    assert table.names == tuple(map(str, frame.columns))
    pd.testing.assert_frame_equal(table.decode(table.encode(frame)), frame, check_column_type=False)
    seen: list[list[Any]] = []

    def first(x: Any) -> Any:
        seen.append(list(x.columns))
        return x[frame.columns[0]]

    case = assay.case(assay.model.function(first), frame)
    np.testing.assert_array_equal(case.output, frame.iloc[:, 0])
    assert seen[-1] == list(frame.columns)
    assert case.features.names == table.names


def test_a_number_column_that_became_text_is_refused() -> None:
    with pytest.raises(InputError, match=r"'a' is String.*numeric"):
        Table.of(pl.DataFrame({"a": [1.0]})).encode(pl.DataFrame({"a": ["one"]}))


def test_coding_leaves_the_callers_frame_alone() -> None:
    frame = pandas_frame()
    table = Table.of(frame)
    table.decode(table.encode(frame) * 0)
    pd.testing.assert_frame_equal(frame, pandas_frame())


LEVELS, GIVEN = ["never", "b", "a"], ["a", None, "b", "a"]
CODED: dict[str, tuple[Any, Any]] = {
    "pandas": (
        lambda: pd.DataFrame({"t": pd.Categorical(GIVEN, LEVELS)}),
        lambda frame: frame["t"].cat.codes.to_numpy().astype(float),
    ),
    "polars": (
        lambda: pl.DataFrame({"t": pl.Series(GIVEN, dtype=pl.Enum(LEVELS))}),
        lambda frame: frame["t"].to_physical().cast(pl.Float64).fill_null(-1.0).to_numpy(),
    ),
    "pyarrow": (
        lambda: pa.table({"t": pa.DictionaryArray.from_arrays(pa.array([2, None, 1, 2], pa.int8()), LEVELS)}),
        lambda table: table["t"].combine_chunks().indices.to_pandas().fillna(-1).to_numpy(),
    ),
}


@pytest.mark.parametrize("library", CODED)
def test_a_model_that_reads_the_positions_of_categories_gets_the_callers_own(library: str) -> None:
    make, codes = CODED[library]
    case = assay.case(assay.wrap(codes, output="values"), make())
    assert_array_equal(case.output, [2.0, -1.0, 1.0, 2.0])  # all rows, and each alone, where some levels do not occur
    for row in range(4):
        assert_array_equal(codes(case.rows.table.decode(case.rows.x[[row]])), case.output[[row]])
