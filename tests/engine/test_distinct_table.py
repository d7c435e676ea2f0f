"""Frames as named conditions, and tables as their distinct rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from assay.basics.errors import InputError
from assay.engine.distinct.table import distinct_rows, fit_binariser


def people() -> pd.DataFrame:
    """Numbers, whole numbers, levels, truth values and gaps."""
    draws = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": np.where(np.arange(200) % 20 == 0, np.nan, draws.integers(18, 80, 200)),
            "income": draws.normal(30, 9, 200).round(3),
            "priors": draws.integers(0, 4, 200),
            "felony": draws.integers(0, 2, 200),
            "town": draws.choice(["A", "B", None], 200),
            "owner": draws.random(200) < 0.4,
        }
    )


def test_conditions_are_readable_and_short() -> None:
    frame = people()
    found = fit_binariser(frame, cuts=2)
    assert [name for name in found.names if "priors" in name] == ["priors ≤ 1", "priors ≤ 2"]
    assert found.names[-5:] == ("felony = 1", "town = A", "town = B", "town is missing", "owner = True")
    assert "age is missing" in found.names
    cut = next(one for one in found.conditions if one.column == "income")
    assert cut.text == f"income ≤ {cut.value:g}"
    assert len(f"{cut.value:g}") <= 4  # the quantile itself has three decimals
    low = float(np.quantile(frame.income, 1 / 3, method="inverted_cdf"))
    assert ((frame.income <= cut.value) == (frame.income <= low)).all()


def test_a_condition_and_its_opposite_read_every_cell() -> None:
    frame = people()
    found = fit_binariser(frame)
    masks = found(frame)
    by_name = dict(zip(found.names, masks.T))
    cut = next(one for one in found.conditions if one.column == "age" and one.kind == "at most")
    assert cut.negated == f"age > {cut.value:g} or missing"
    assert (by_name[cut.text] == (frame.age <= cut.value).to_numpy()).all()
    assert (by_name["town is missing"] == frame.town.isna().to_numpy()).all()
    assert (by_name["town = A"] == (frame.town == "A").fillna(False).to_numpy(dtype=bool)).all()


@pytest.mark.parametrize("library", [pl.from_pandas, pa.Table.from_pandas], ids=["polars", "pyarrow"])
def test_frames_of_other_libraries_have_the_same_conditions(library: Any) -> None:
    frame = people()
    other, found = library(frame), fit_binariser(frame)
    assert fit_binariser(other).names == found.names
    assert (found(other) == found(frame)).all()


def test_matrices_of_numbers_and_of_objects_are_read() -> None:
    numbers = people()[["age", "priors", "felony"]].to_numpy(dtype=float)
    found = fit_binariser(numbers)
    assert "x2 = 1" in found.names
    assert fit_binariser(numbers.astype(object)).names == found.names


def test_columns_are_found_by_name_and_thresholds_are_those_of_training() -> None:
    frame = people()
    found = fit_binariser(frame.iloc[:100])
    turned = frame.iloc[100:][list(frame.columns[::-1])].assign(extra=1)
    assert (found(turned) == found(frame.iloc[100:])).all()
    assert fit_binariser(frame.iloc[:100]).names == found.names


def test_a_level_that_training_did_not_show_answers_no() -> None:
    found = fit_binariser(pd.DataFrame({"town": ["A", "B", "C"] * 5}))
    assert not found(pd.DataFrame({"town": ["D", None]})).any()


def test_rare_constant_and_repeated_conditions_are_dropped() -> None:
    x = np.zeros((1000, 4))
    x[:5, 0] = 1  # rarer than one percent
    x[::2, 1] = 1
    x[:, 2] = 1 - x[:, 1]
    assert fit_binariser(x).names == ("x1 = 1",)


def test_of_too_many_conditions_those_that_tell_the_classes_apart_are_kept() -> None:
    x = np.random.default_rng(0).integers(0, 2, (300, 6))
    found = fit_binariser(x, x[:, 4], most=2)
    assert "x4 = 1" in found.names
    assert len(found.names) == 2
    assert len(found.left_out) == 4


def test_given_cuts_are_used() -> None:
    found = fit_binariser(people()[["age", "priors"]], cuts={"age": (25, 45)}, least=0.0)
    assert found.names[:2] == ("age ≤ 25", "age ≤ 45")


@pytest.mark.parametrize(
    ("x", "options"),
    [
        (np.zeros((0, 2)), {}),
        (np.zeros((3, 0)), {}),
        (np.zeros(3), {}),
        (np.zeros((3, 1)), {"most": 0}),
        (np.zeros((3, 1)), {"cuts": 0}),
        (np.zeros((3, 1)), {"least": 0.5}),
        (np.zeros((3, 1)), {"cuts": {"age": (1,)}}),
    ],
    ids=str,
)
def test_bad_tables_and_options_are_refused(x: Any, options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        fit_binariser(x, **options)


def test_other_columns_are_refused_by_name() -> None:
    found = fit_binariser(people())
    with pytest.raises(InputError, match="'age'"):
        found(people().drop(columns="age"))
    with pytest.raises(InputError, match="a matrix"):
        found(np.zeros((2, 6)))
    with pytest.raises(InputError, match="held numbers"):
        found(people().assign(income="much"))


def test_distinct_rows_count_every_row_once() -> None:
    draws = np.random.default_rng(0)
    masks, labels = draws.random((500, 4)) < 0.5, draws.integers(0, 3, 500)
    table = distinct_rows(masks, labels, 3)
    assert len(table.masks) == len(np.unique(masks, axis=0))
    assert (table.masks[table.which] == masks).all()
    for row in range(len(table.masks)):
        own = np.bincount(labels[table.which == row], minlength=3)
        assert table.counts[row].tolist() == own.tolist()
        assert table.minority[row] == own.sum() - own.max()
    order = draws.permutation(500)
    again = distinct_rows(masks[order], labels[order], 3)
    assert (again.masks == table.masks).all()
    assert (again.counts == table.counts).all()


def test_a_table_without_conditions_has_one_distinct_row() -> None:
    table = distinct_rows(np.zeros((6, 0), dtype=bool), np.array([0, 1, 1, 0, 1, 1]), 2)
    assert table.counts.tolist() == [[2.0, 4.0]]
    assert table.total == 6
