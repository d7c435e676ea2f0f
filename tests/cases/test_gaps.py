"""Every removal of a table with gaps, against enumeration: missing is a value of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tests.oracles.games import shapley

import assay
from assay import explain
from assay.basics.errors import InputError
from assay.nouns.inputs.native_columns import missing_kind

COLUMNS: dict[str, list[Any]] = {
    "age": [31.0, None, 45.0, None, 28.0, 61.0, 39.0, None],
    "job": ["cook", "nurse", None, None, "cook", "clerk", "nurse", "cook"],
    "flag": [True, None, False, True, None, True, False, False],
}
EXPLAINED = 4


def worth(row: list[Any]) -> float:
    """A function with interactions that asks for gaps."""
    age, job, flag = row
    score = 3.0 if missing_kind(age) else float(age) / 20
    score *= 0.5 if missing_kind(job) else 1.0 + len(job)
    return score + (7.0 if missing_kind(flag) else 2.0 * score * float(flag))


def frames(library: str) -> Any:
    if library == "polars":
        return pl.DataFrame(COLUMNS)
    types = {"age": float, "job": "category", "flag": "boolean"}
    return pd.DataFrame({name: pd.Series(cells, dtype=types[name]) for name, cells in COLUMNS.items()})


def listed(frame: Any) -> list[list[Any]]:
    columns = [list(frame[name]) for name in COLUMNS]
    return [list(row) for row in zip(*columns)]


def model() -> Any:
    return assay.wrap(lambda frame: np.array([worth(row) for row in listed(frame)]), output="values")


def nearest(row: list[Any], others: list[list[Any]], present: frozenset[int], k: int) -> list[list[Any]]:
    """The k nearest background rows by the definition of ``Conditional``."""
    ages = [other[0] for other in others if not missing_kind(other[0])]

    def distance(other: list[Any]) -> float:
        total = 0.0
        for place in present:
            gap, other_gap = missing_kind(row[place]), missing_kind(other[place])
            if gap or other_gap:
                total += bool(gap) != bool(other_gap)
            elif place == 0:
                total += (row[0] - other[0]) ** 2 / np.var(ages)
            else:
                total += row[place] != other[place]
        return total

    return sorted(others, key=distance)[:k]


FILLS: dict[str, Callable[[list[Any], list[list[Any]], frozenset[int]], list[list[Any]]]] = {
    "Marginal": lambda row, others, present: others,
    "Conditional": lambda row, others, present: nearest(row, others, present, 2),
    "Constant": lambda row, others, present: [[None, "clerk", None]],
    "default": lambda row, others, present: listed(frames("polars"))[:EXPLAINED],
}


def removal(name: str, background: Any) -> dict[str, Any]:
    constant = assay.Constant({"age": np.nan, "job": "clerk", "flag": None})
    made = {
        "Marginal": assay.Marginal(background),
        "Conditional": assay.Conditional(background, k=2),
        "Constant": constant,
    }
    return {"remove": made[name]} if name in made else {}


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("name", FILLS)
def test_shapley_values_with_gaps_equal_enumeration_for_every_removal(name: str, library: str) -> None:
    frame = frames(library)
    rows, background = frame[:EXPLAINED], frame[EXPLAINED:]
    e = explain.shapley(assay.case(model(), rows), **removal(name, background))
    others = listed(background)
    for place, row in enumerate(listed(rows)):

        def v(present: frozenset[int], row: list[Any] = row) -> float:
            fills = FILLS[name](row, others, present)
            mixed = [[row[i] if i in present else fill[i] for i in range(3)] for fill in fills]
            return float(np.mean([worth(one) for one in mixed]))

        np.testing.assert_allclose(e.values[place], shapley(v, 3), atol=1e-9)
        np.testing.assert_allclose(e.base[place], v(frozenset()), atol=1e-9)


def test_the_mean_of_a_background_is_that_of_the_values_that_are_known() -> None:
    background = np.array([[1.0, np.nan, np.nan], [3.0, 4.0, np.nan]])
    one = assay.case(
        assay.wrap(lambda x: np.nan_to_num(x, nan=10.0) @ [1.0, 2.0, 4.0], output="values"),
        np.array([[5.0, np.nan, 1.0]]),
    )
    e = explain.shapley(one, remove=assay.Mean(background))
    np.testing.assert_allclose(e.base, [2.0 + 2 * 4.0 + 4 * 10.0])
    np.testing.assert_allclose(e.values, [[3.0, 12.0, -36.0]])


def test_a_missing_constant_needs_a_model_that_takes_it() -> None:
    one = assay.case(
        assay.wrap(lambda frame: frame.to_numpy() @ [1.0, 2.0], output="values"),
        pd.DataFrame([[1.0, 2.0]], columns=["a", "b"]),
    )
    with pytest.raises(InputError, match="missing"):
        explain.shapley(one, remove=assay.Constant({"a": None, "b": 0.0}))


def test_masked_elements_are_missing_and_a_note_says_so() -> None:
    rows = np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[False, True], [False, False]])
    one = assay.case(assay.wrap(lambda x: np.nan_to_num(x, nan=9.0).sum(axis=1), output="values"), rows)
    np.testing.assert_allclose(one.output, [10.0, 7.0])
    assert [note.code for note in one.notes] == ["masked-elements"]
    assert one.part_texts() == (("1", "missing"), ("3", "4"))


def test_rows_with_named_fields_are_refused() -> None:
    rows = np.array([(1.0, 2.0)], dtype=[("a", float), ("b", float)])
    with pytest.raises(InputError, match="named fields"):
        assay.case(assay.wrap(lambda x: x.sum(axis=1), output="values"), rows)


def refuses(frame: Any) -> Any:
    """A function that does not take missing values, for the reason of its own that a test names."""
    if frame["age"].isna().any():
        raise TypeError("an age is needed")
    return frame["age"].to_numpy()


def breaks(frame: Any) -> Any:
    """A function that fails for a reason of its own, whatever is missing."""
    return frame["salary"]


def breaks_with_memory(frame: Any) -> Any:
    """A function that runs out of memory where a cell is missing."""
    if frame["age"].isna().any():
        raise MemoryError("not enough")
    return frame["age"].to_numpy()


def as_matrix(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same function of a matrix whose first column is the age."""
    return lambda x: call(pd.DataFrame({"age": x[:, 0]}))


@pytest.mark.parametrize("form", ["frame", "matrix"])
@pytest.mark.parametrize("place", ["rows", "background"])
@pytest.mark.parametrize(
    ("call", "raised", "told"),
    [
        (refuses, InputError, "tried with the missing values: TypeError: an age is needed"),
        (lambda frame: frame["age"].to_numpy(), InputError, "tried with the missing values: its outputs are NaN"),
        (breaks, KeyError, "salary"),
        (breaks_with_memory, MemoryError, "not enough"),
    ],
    ids=["refuses", "gives NaN", "breaks", "lacks memory"],
)
def test_only_what_complete_rows_do_not_raise_is_taken_for_a_refusal_of_missing_values(
    call: Any, raised: type[Exception], told: str, place: str, form: str
) -> None:
    gaps: Any = frames("pandas")[["age"]]
    complete: Any = gaps.dropna()
    if form == "matrix":
        call, gaps, complete = as_matrix(call), gaps.to_numpy(), complete.to_numpy()
    model = assay.wrap(call, output="values")
    rows, behind = (gaps, complete) if place == "rows" else (complete, gaps)
    with pytest.raises(raised, match=told):
        explain.shapley(assay.case(model, rows), remove=assay.Marginal(behind))


def test_an_estimators_own_error_is_told_where_missing_values_are_not_its_cause() -> None:
    frame = pd.DataFrame({"age": [31.0, 45.0, 28.0, 61.0], "job": ["cook", "clerk", "cook", "clerk"]})
    columns = make_column_transformer((SimpleImputer(), ["age"]), (OneHotEncoder(), ["job"]))
    fitted = make_pipeline(columns, LogisticRegression()).fit(frame, [0, 1, 0, 1])
    unknown = frame.assign(age=[np.nan, 45.0, 28.0, 61.0], job="pilot")
    with pytest.raises(InputError, match=r"unknown categories \['pilot'\]"):
        assay.case(assay.wrap(fitted), unknown)
