"""Random tables, gaps and labels: every case is right against enumeration, or refused by a typed error."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from itertools import chain, combinations
from math import factorial
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import assay
from assay import explain
from assay.basics.errors import AssayError

GAP = 0.7123
"""The number of a missing cell; no other cell has it."""

FIRST = datetime.date(2024, 1, 1)
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "float": st.floats(-50, 50, allow_nan=False).map(lambda x: round(x, 3)),
    "int": st.integers(-50, 50),
    "bool": st.booleans(),
    "text": st.sampled_from(["07", "7", "", "nan", "a b", "ü", "None"]),
    "category": st.sampled_from(["low", "mid", "high"]),
    "date": st.integers(0, 500).map(lambda days: FIRST + datetime.timedelta(days=days)),
}
PANDAS = {
    "float": ["float64", "float32", "Float64", "double[pyarrow]"],
    "int": ["int64", "int8", "Int64", "Int16", "int64[pyarrow]"],
    "bool": ["bool", "boolean", "object", "bool[pyarrow]"],
    "text": ["object", "str", "string", "string[pyarrow]", "category"],
    "category": ["category", "object", "ordered"],
    "date": ["datetime64[ns]", "object", "date32[day][pyarrow]"],
}
POLARS = {
    "float": [pl.Float64, pl.Float32],
    "int": [pl.Int64, pl.Int16],
    "bool": [pl.Boolean],
    "text": [pl.String, pl.Categorical],
    "category": [pl.Enum(["low", "mid", "high"]), pl.Categorical, pl.String],
    "date": [pl.Date],
}


def number(cell: Any) -> float:
    """A cell as a number, the same for every library; a missing one is a value of its own."""
    if cell is None or cell is pd.NA or cell is pd.NaT or cell != cell:
        return GAP
    if isinstance(cell, str):
        return 1.0 + len(cell) + sum(map(ord, cell)) / 100
    if isinstance(cell, datetime.date | pd.Timestamp | np.datetime64):
        return (pd.Timestamp(cell) - pd.Timestamp(FIRST)).days / 50
    return float(np.float32(cell)) / 10


def value(cells: list[Any]) -> float:
    """Any function with an interaction of all cells."""
    numbers = [number(cell) for cell in cells]
    return float(np.sum(numbers) + np.prod(np.tanh(numbers)) + numbers[0] * numbers[-1])


def cells_of(frame: Any) -> list[list[Any]]:
    if isinstance(frame, pd.DataFrame):
        return [list(row) for row in zip(*(frame[name].tolist() for name in frame.columns))]
    return [list(row.values()) for row in (frame.to_dicts() if isinstance(frame, pl.DataFrame) else frame.to_pylist())]


def enumerated(f: Callable[[list[Any]], float], rows: list[list[Any]], others: list[list[Any]]) -> np.ndarray:
    """Shapley values by all coalitions."""
    parts = len(rows[0])
    found = np.zeros((len(rows), parts))
    for r, row in enumerate(rows):

        def v(present: tuple[int, ...], row: list[Any] = row) -> float:
            return float(np.mean([f([row[j] if j in present else other[j] for j in range(parts)]) for other in others]))

        for j in range(parts):
            rest = [i for i in range(parts) if i != j]
            for some in chain.from_iterable(combinations(rest, k) for k in range(parts)):
                weight = factorial(len(some)) * factorial(parts - 1 - len(some)) / factorial(parts)
                found[r, j] += weight * (v((*some, j)) - v(some))
    return found


@st.composite
def tables(draw: st.DrawFn) -> tuple[Any, int]:
    """A frame of one of three libraries, and how many of its rows are explained."""
    rows, explained = draw(st.integers(3, 5)), draw(st.integers(1, 2))
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    gaps = draw(st.sampled_from([0.0, 0.3]))
    columns = {}
    for place, kind in enumerate(kinds):
        cells = draw(st.lists(CELLS[kind], min_size=rows, max_size=rows))
        missing = draw(st.lists(st.booleans(), min_size=rows, max_size=rows)) if gaps else [False] * rows
        columns[f"{kind} {place}"] = [None if gap else cell for cell, gap in zip(cells, missing)]
    library = draw(st.sampled_from(["pandas", "polars", "pyarrow"]))
    if library == "pandas":
        frame = pd.DataFrame(
            {n: pandas_column(c, draw(st.sampled_from(PANDAS[n.split()[0]]))) for n, c in columns.items()}
        )
        if draw(st.booleans()):
            frame.columns = range(len(frame.columns))
        if draw(st.booleans()):
            frame.index = [f"id {i}" for i in range(rows)]
        return frame, explained
    frame = pl.DataFrame(
        {n: pl.Series(n, c, dtype=draw(st.sampled_from(POLARS[n.split()[0]]))) for n, c in columns.items()}
    )
    return (frame if library == "polars" else pa.table({n: pa.array(c) for n, c in columns.items()})), explained


def pandas_column(cells: list[Any], dtype: str) -> pd.Series:
    missing = any(cell is None for cell in cells)
    if dtype == "ordered":
        return pd.Series(pd.Categorical(cells, categories=["low", "mid", "high"], ordered=True))
    if missing and dtype in ("int64", "int8", "bool"):
        dtype = "object" if dtype == "bool" else "float64"
    return pd.Series(cells, dtype=dtype)


def some(frame: Any, start: int, stop: int) -> Any:
    return frame.iloc[start:stop] if isinstance(frame, pd.DataFrame) else frame[start:stop]


def is_right_or_refused(table: tuple[Any, int]) -> None:
    frame, explained = table
    x, background = some(frame, 0, explained), some(frame, explained, len(frame))
    model = assay.model.function(lambda given: np.array([value(row) for row in cells_of(given)]))
    case = assay.case(model, x)
    rows, others = cells_of(x), cells_of(background)
    np.testing.assert_allclose(case.output, [value(row) for row in rows], atol=1e-9)
    found = explain.shapley(case, remove=assay.Marginal(background))
    np.testing.assert_allclose(found.values, enumerated(value, rows, others), atol=1e-6)
    assert found.ids == (tuple(map(str, x.index)) if isinstance(x, pd.DataFrame) else tuple(map(str, range(explained))))


FEW = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=2000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@FEW
@given(tables())
def test_a_table_of_any_types_is_explained_as_it_is(table: tuple[Any, int]) -> None:
    is_right_or_refused(table)


@pytest.mark.judge
@MANY
@given(tables())
def test_two_thousand_tables_are_explained_as_they_are(table: tuple[Any, int]) -> None:
    is_right_or_refused(table)


DTYPES = ["float64", "float32", "float16", "int64", "int8", "uint8", "bool", ">f8"]


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    """An array, tensor, sparse or masked matrix of any number type, memory layout and shape."""
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    rows, dtype = draw(st.integers(2, 4)), draw(st.sampled_from(DTYPES))
    cells = draw(st.lists(st.integers(0, 9), min_size=rows * int(np.prod(shape)), max_size=rows * int(np.prod(shape))))
    array = np.array(cells).reshape(rows, *shape).astype(dtype)
    form = draw(st.sampled_from(["array", "fortran", "strided", "reversed", "tensor", "sparse", "masked", "list"]))
    if form == "tensor" and dtype != ">f8":
        import torch

        return torch.as_tensor(array)
    if form == "sparse" and len(shape) == 1 and dtype not in ("float16", ">f8"):
        from scipy.sparse import csr_array

        return csr_array(array)
    if form == "masked":
        return np.ma.masked_array(array, mask=False)
    layouts = {"fortran": np.asfortranarray(array), "strided": np.repeat(array, 2, axis=0)[::2], "list": array.tolist()}
    return array[::-1][::-1] if form == "reversed" else layouts.get(form, array)


def arrays_are_read_as_they_are(x: Any) -> None:
    dense = np.asarray(x.toarray() if hasattr(x, "toarray") else x, dtype=np.float64)
    weights = np.arange(1.0, dense[0].size + 1)
    before = dense.copy()
    model = assay.model.function(
        lambda given: given.reshape(len(given), -1) @ weights + given.reshape(len(given), -1)[:, 0] ** 2
    )
    case = assay.case(model, x)
    flat = dense.reshape(len(dense), -1)
    np.testing.assert_allclose(case.output, flat @ weights + flat[:, 0] ** 2)
    found = explain.occlusion(case, remove=assay.Constant(0.0))
    expected = flat * weights
    expected[:, 0] += flat[:, 0] ** 2
    np.testing.assert_allclose(found.values, expected, atol=1e-9)
    np.testing.assert_array_equal(np.asarray(x.toarray() if hasattr(x, "toarray") else x, dtype=np.float64), before)


@FEW
@given(arrays())
def test_an_array_of_any_form_is_explained_as_it_is(x: Any) -> None:
    arrays_are_read_as_they_are(x)


@pytest.mark.judge
@MANY
@given(arrays())
def test_two_thousand_arrays_are_explained_as_they_are(x: Any) -> None:
    arrays_are_read_as_they_are(x)


CLASSES: dict[str, list[Any]] = {
    "ints": [0, 1, 2],
    "ints from one": [1, 2, 3],
    "negative": [-1, 0, 1],
    "floats": [1.0, 2.0, 3.0],
    "fractions": [0.5, 1.5, 2.5],
    "texts": ["a", "b", "c"],
    "texts of numbers": ["1", "2", "10"],
    "bools": [False, True],
}


@st.composite
def labels(draw: st.DrawFn) -> tuple[list[Any], list[int], str]:
    classes = CLASSES[draw(st.sampled_from(sorted(CLASSES)))]
    places = draw(st.lists(st.integers(0, len(classes) - 1), min_size=1, max_size=6))
    forms = ["list", "array", "column", "series", "category", "polars", "tensor", "float", "object"]
    return classes, places, draw(st.sampled_from(forms))


def shaped(values: list[Any], form: str) -> Any:
    is_text = isinstance(values[0], str)
    if form == "array":
        return np.array(values)
    if form == "column":
        return np.array(values)[:, None]
    if form == "series":
        return pd.Series(values)
    if form == "category":
        return pd.Series(values).astype("category")
    if form == "polars":
        return pl.Series(values)
    if form == "tensor" and not is_text:
        import torch

        return torch.tensor(values)
    if form == "float" and not is_text:
        return [float(value) for value in values]
    return np.array(values, dtype=object) if form == "object" else values


def labels_are_the_classes_they_name(case: tuple[list[Any], list[int], str]) -> None:
    classes, places, form = case
    model = assay.model.function(
        lambda x: np.tile(np.arange(1.0, len(classes) + 1) / sum(range(len(classes) + 1)), (len(x), 1)),
        gives="probabilities",
        classes=[str(name) for name in classes],
    )
    x = np.zeros((len(places), 2))
    given = shaped([classes[place] for place in places], form)
    found = assay.case(model, x, label=given)
    assert found.label.tolist() == places
    stray = shaped([*[classes[place] for place in places], "no class" if isinstance(classes[0], str) else 77], "list")
    with pytest.raises(AssayError, match="does not exist"):
        assay.case(model, np.zeros((len(stray), 2)), label=stray)


@FEW
@given(labels())
def test_a_label_is_the_class_that_it_names_in_any_form(case: tuple[list[Any], list[int], str]) -> None:
    labels_are_the_classes_they_name(case)


@pytest.mark.judge
@MANY
@given(labels())
def test_two_thousand_labels_are_the_classes_that_they_name(case: tuple[list[Any], list[int], str]) -> None:
    labels_are_the_classes_they_name(case)
