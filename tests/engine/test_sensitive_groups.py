"""Groups and labels of any library and type: read as the same plain values, or refused with the rows named."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression

import assay
from assay import diagnose
from assay.auditing.steps.diagnoses import groups_of
from assay.basics.errors import InputError
from assay.engine.retraining.labelled_rows import true_labels
from assay.engine.sensitive_groups import complete_groups, group_names, sensitive_columns

ROWS = 40
X = np.random.default_rng(0).normal(size=(ROWS, 3))
Y = (X[:, 0] > 0).astype(int)
MODEL = assay.wrap(LogisticRegression().fit(X, Y))
CASE = assay.case(MODEL, X)
GROUPS = ["a", "b"] * (ROWS // 2)

VECTORS: dict[str, Any] = {
    "list": list,
    "tuple": tuple,
    "array of text": np.array,
    "array of objects": lambda v: np.array(v, dtype=object),
    "column of an array": lambda v: np.array(v)[:, None],
    "pandas": lambda v: pd.Series(v, dtype=object),
    "pandas text": lambda v: pd.Series(v, dtype="string"),
    "pandas category": lambda v: pd.Series(v, dtype="category"),
    "pandas of another index": lambda v: pd.Series(v, index=range(100, 100 + len(v))),
    "pandas frame of one column": lambda v: pd.DataFrame({"g": v}),
    "categorical": pd.Categorical,
    "polars": pl.Series,
    "polars category": lambda v: pl.Series(v, dtype=pl.Categorical),
    "pyarrow": pa.chunked_array,
}


def vector(kind: str, values: list[Any]) -> Any:
    return VECTORS[kind]([values] if kind == "pyarrow" else values)


@pytest.mark.parametrize("kind", VECTORS)
def test_groups_of_every_type_give_the_findings_of_a_list(kind: str) -> None:
    def claims(groups: Any) -> list[str]:
        found = diagnose.disparity(CASE, groups, favourable=1, labels=Y, remove=assay.Constant(0.0))
        return [f.claim if f.claim.startswith("g: ") else f.of("g").claim for f in found]

    assert claims(vector(kind, GROUPS)) == claims(GROUPS)


NUMBERS = {
    "bools": ([True, False], ["True", "False"]),
    "numpy bools": (np.array([True, False]), ["True", "False"]),
    "whole": ([1, 2], ["1", "2"]),
    "whole as floats": ([1.0, 2.0], ["1", "2"]),
    "nullable": (pd.array([1, 2], dtype="Int64"), ["1", "2"]),
    "nullable bools": (pd.array([True, False], dtype="boolean"), ["True", "False"]),
    "tensor": (torch.tensor([1, 2]), ["1", "2"]),
    "fractions": ([0.5, 2.0], ["0.5", "2"]),
    "days": ([datetime.date(2020, 1, 1), datetime.date(2021, 1, 1)], ["2020-01-01", "2021-01-01"]),
}


@pytest.mark.parametrize(("values", "names"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_name_groups(values: Any, names: list[str]) -> None:
    assert group_names(sensitive_columns(values)[""], 2).tolist() == names


GAPS: dict[str, Any] = {
    "None in a list": lambda v: [None if i == 3 else g for i, g in enumerate(v)],
    "NaN in a list": lambda v: [np.nan if i == 3 else g for i, g in enumerate(v)],
    "NA in a list": lambda v: [pd.NA if i == 3 else g for i, g in enumerate(v)],
    "NaT in a list": lambda v: [pd.NaT if i == 3 else g for i, g in enumerate(v)],
    "objects": lambda v: pd.Series([np.nan if i == 3 else g for i, g in enumerate(v)], dtype=object),
    "pandas text": lambda v: pd.Series([None if i == 3 else g for i, g in enumerate(v)], dtype="string"),
    "pandas category": lambda v: pd.Series([None if i == 3 else g for i, g in enumerate(v)], dtype="category"),
    "polars": lambda v: pl.Series([None if i == 3 else g for i, g in enumerate(v)]),
    "pyarrow": lambda v: pa.array([None if i == 3 else g for i, g in enumerate(v)]),
    "floats": lambda v: np.array([np.nan if i == 3 else float(g == "a") for i, g in enumerate(v)]),
    "nullable": lambda v: pd.array([pd.NA if i == 3 else int(g == "a") for i, g in enumerate(v)], dtype="Int64"),
    "polars whole": lambda v: pl.Series([None if i == 3 else int(g == "a") for i, g in enumerate(v)]),
}


@pytest.mark.parametrize("gap", GAPS.values(), ids=GAPS)
def test_a_missing_group_is_refused_with_its_row_and_a_group_of_its_own_in_an_audit(gap: Any) -> None:
    with pytest.raises(InputError, match=r"the group is missing in row\(s\) 3"):
        diagnose.disparity(CASE, gap(GROUPS), favourable=1, remove=assay.Constant(0.0))
    with pytest.raises(InputError, match=r"the group is missing in row\(s\) 3 of 'sex'"):
        diagnose.disparity(CASE, {"sex": gap(GROUPS)}, favourable=1, remove=assay.Constant(0.0))
    named = groups_of(X, {"sex": gap(GROUPS)})["sex"]
    assert [row for row, name in enumerate(named) if name == "(missing)"] == [3]
    assert len(set(named)) == 3


CONTINUOUS: dict[str, Any] = {
    "fractions": X[:, 1],
    "a list of fractions": X[:, 1].tolist(),
    "whole numbers": np.arange(ROWS),
    "pandas": pd.Series(X[:, 1]),
    "nullable": pd.array(range(ROWS), dtype="Int64"),
    "polars": pl.Series(X[:, 1]),
    "a tensor": torch.tensor(X[:, 1]),
    "days": pd.Series(pd.date_range("2020-01-01", periods=ROWS)),
}


@pytest.mark.parametrize("values", CONTINUOUS.values(), ids=CONTINUOUS)
def test_a_continuous_column_is_refused_with_edges_to_use_and_cut_in_an_audit(values: Any) -> None:
    with pytest.raises(InputError, match=f"{ROWS} distinct values; at most 20 .* numpy.digitize|pandas.cut"):
        diagnose.disparity(CASE, values, favourable=1, remove=assay.Constant(0.0))
    with pytest.raises(InputError, match=f"of 'age' are numbers or dates with {ROWS} distinct values"):
        diagnose.disparity(CASE, {"age": values}, favourable=1, remove=assay.Constant(0.0))
    named = groups_of(X, {"age": values})["age"]
    assert min(Counter(named).values()) >= 7
    assert len(set(named)) == 4
    found = diagnose.disparity(CASE, {"age": values}, favourable=1, remove=assay.Constant(0.0), smallest=5, ranges=4)
    assert found[0].evidence["rates"].keys() == set(named)


def test_the_edges_that_the_refusal_proposes_give_four_groups() -> None:
    with pytest.raises(InputError) as error:
        complete_groups(X[:, 1].tolist(), ROWS)
    edges = np.array(str(error.value).partition("[")[2].partition("]")[0].split(","), dtype=float)
    counts = np.unique(np.digitize(X[:, 1], edges), return_counts=True)[1]
    assert counts.tolist() == [10, 10, 10, 10]


def test_many_numbers_of_few_values_are_groups() -> None:
    assert len(set(complete_groups([float(i % 20) for i in range(500)], 500).tolist())) == 20


def test_names_of_many_groups_are_refused_before_any_pair_is_compared() -> None:
    for values in (np.random.default_rng(0).normal(size=20_000).tolist(), [f"name {i}" for i in range(20_000)]):
        with pytest.raises(InputError, match="are compared"):
            complete_groups(values, 20_000)


COLUMNS: dict[str, Any] = {
    "mapping": lambda c: c,
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "mapping of series": lambda c: {name: pd.Series(values) for name, values in c.items()},
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_several_sensitive_columns_are_tested_one_by_one(kind: str) -> None:
    columns = {"sex": GROUPS, "town": (["x"] * 10 + ["y"] * 30)}
    found = diagnose.disparity(CASE, COLUMNS[kind](columns), favourable=1, remove=assay.Constant(0.0))
    combined = [f"{sex} × {town}" for sex, town in zip(*columns.values())]
    alone = [
        diagnose.disparity(CASE, one, favourable=1, remove=assay.Constant(0.0)) for one in (*columns.values(), combined)
    ]
    assert [f.subject for f in found] == [name for name in ("sex", "town", "sex × town") for _ in range(3)]
    assert [f.claim.partition(": ")[2] for f in found] == [
        f.of("x").claim.removeprefix("x: ") for one in alone for f in one
    ]
    assert groups_of(X, COLUMNS[kind](columns)) == columns


@pytest.mark.parametrize(
    "groups", [np.array([["a", "b"]] * ROWS), [["a", "b"]] * ROWS, {}, 3, "ab", None, [["a"], ["a", "b"]], {"a", "b"}]
)
def test_what_is_no_column_of_groups_is_refused(groups: Any) -> None:
    with pytest.raises(InputError, match="group"):
        diagnose.disparity(CASE, groups, favourable=1, remove=assay.Constant(0.0))


LABELS: dict[str, Any] = {
    "list": Y.tolist(),
    "column": Y[:, None],
    "nested list": Y[:, None].tolist(),
    "bools": Y.astype(bool),
    "floats": Y.astype(float),
    "small integers": Y.astype(np.int8),
    "text": Y.astype(str),
    "text of floats": Y.astype(float).astype(str),
    "pandas": pd.Series(Y, index=range(7, 7 + ROWS)),
    "nullable": pd.Series(Y, dtype="Int64"),
    "nullable bools": pd.Series(Y.astype(bool), dtype="boolean"),
    "category": pd.Series(Y).astype("category"),
    "frame of one column": pd.DataFrame({"y": Y}),
    "polars": pl.Series(Y),
    "polars frame": pl.DataFrame({"y": Y}),
    "pyarrow": pa.array(Y),
    "tensor": torch.tensor(Y),
    "column of a tensor": torch.tensor(Y)[:, None],
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_of_every_type_are_the_same_classes(labels: Any) -> None:
    assert true_labels(MODEL, labels, ROWS, CASE.prediction).tolist() == Y.tolist()


BROKEN_LABELS: dict[str, tuple[Any, str]] = {
    "too few": (Y[:-1], f"{ROWS - 1} labels for {ROWS} rows"),
    "one for all": (1, "a vector with one value a row is needed"),
    "a word": ("yes", "a vector with one value a row is needed"),
    "nothing": (None, "a vector with one value a row is needed"),
    "two columns": (np.eye(2)[Y], r"shape \(40, 2\)"),
    "a frame of two columns": (pd.DataFrame(np.eye(2)[Y], columns=["a", "b"]), "found 2 columns"),
    "NaN": ([np.nan, *Y[1:]], r"missing or NaN in row\(s\) 0"),
    "None": ([None, *Y[1:]], r"missing or NaN in row\(s\) 0"),
    "NA": (pd.Series([pd.NA, *Y[1:]], dtype="Int64"), r"missing or NaN in row\(s\) 0"),
    "an infinity": ([np.inf, *Y[1:]], "label inf does not exist"),
    "a fraction": ([0.5, *Y[1:]], "label 0.5 does not exist"),
    "a third class": ([2, *Y[1:]], "label 2 does not exist"),
    "a negative class": ([-1, *Y[1:]], "label -1 does not exist"),
    "another word": (["yes", *Y[1:]], "label 'yes' does not exist"),
    "a complex number": ([1 + 2j, *Y[1:]], "does not exist"),
    "lists of different lengths": ([[1], [0, 1]] * (ROWS // 2), "different lengths"),
    "a mapping": ({"a": 1}, "a vector with one value a row is needed"),
}


@pytest.mark.parametrize(("labels", "message"), BROKEN_LABELS.values(), ids=BROKEN_LABELS)
def test_labels_that_do_not_fit_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        true_labels(MODEL, labels, ROWS, CASE.prediction)


@pytest.mark.parametrize("labels", [["a"] * ROWS, [np.nan] * ROWS, [np.inf] * ROWS, [None] * ROWS, [1j] * ROWS])
def test_a_regression_refuses_labels_that_are_no_numbers(labels: Any) -> None:
    model = assay.wrap(lambda x: x[:, 0], output="values")
    with pytest.raises(InputError, match=r"row\(s\) 0, 1"):
        true_labels(model, labels, ROWS, X[:, :1])


def test_groups_given_by_one_name_are_that_column() -> None:
    frame = pd.DataFrame({"sex": GROUPS, "a": 1.0})
    assert groups_of(frame, "sex") == groups_of(frame, ["sex"]) == {"sex": GROUPS}


def test_without_labels_a_disparity_has_no_error_rates() -> None:
    for labels in (None, (), [], np.array([])):
        found = diagnose.disparity(CASE, GROUPS, favourable=1, labels=labels, remove=assay.Constant(0.0))
        assert [f.code for f in found] == ["FAI101", "FAI104", "FAI110"]


def test_membership_without_labels_is_the_attack_by_confidence() -> None:
    generator = np.random.default_rng(1)
    train, other = np.column_stack([np.full(200, 0.9), generator.random(200)]), generator.random((200, 2))
    model = assay.wrap(lambda x: np.column_stack([1 - x[:, 0], x[:, 0]]), output="probabilities", classes=("no", "yes"))
    found = diagnose.membership(assay.case(model, train), None, other, None)
    by_class = diagnose.membership(
        assay.case(model, train), [1] * 200, other, (other[:, 0] > 0.5).astype(int)
    )  # labels that are what the model predicts
    assert found[0].estimate == by_class[0].estimate
    assert_allclose(found[0].estimate, np.mean(np.abs(other[:, 0] - 0.5) <= 0.4), atol=0.05)
    assert "from the confidence has advantage" in found[0].claim
    assert found[2].verdict == "not run"


@pytest.mark.parametrize("given", [(None, Y), (Y, None)])
def test_labels_of_one_side_only_are_refused(given: Any) -> None:
    with pytest.raises(InputError, match="Give both, or None for both"):
        diagnose.membership(CASE, given[0], X, given[1])


def test_a_regression_without_labels_has_no_attack() -> None:
    model = assay.wrap(lambda x: x[:, 0], output="values")
    with pytest.raises(InputError, match="reads the error: give labels"):
        diagnose.membership(assay.case(model, X), None, X, None)
