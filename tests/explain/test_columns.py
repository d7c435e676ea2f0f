"""Columns are known by name: what is out of order is put right, what is missing or too many is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.ensemble import RandomForestRegressor

import assay
from assay import explain
from assay.basics.errors import InputError
from assay.cases.case import Case

NAMES = ["age", "income", "rooms", "distance"]
ASKS = [explain.shapley, explain.owen, explain.interactions, explain.banzhaf]


@pytest.fixture(scope="module")
def houses() -> tuple[Any, pd.DataFrame]:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 4)), columns=NAMES)
    price = frame["income"] * frame["rooms"] + frame["age"] - frame["distance"] ** 2
    return RandomForestRegressor(10, random_state=0, n_jobs=1).fit(frame, price), frame


def explained(model: Any, rows: Any, background: Any, ask: Any) -> dict[str, Any]:
    case: Case = assay.case(assay.wrap(model), rows)
    result = ask(case, remove=assay.Marginal(background))
    return dict(zip(result.features.names, result.values.T))


@pytest.mark.parametrize("ask", ASKS)
def test_the_order_of_columns_does_not_matter(houses: tuple[Any, pd.DataFrame], ask: Any) -> None:
    model, frame = houses
    rows, background = frame.iloc[:3], frame.iloc[40:45]
    plain = explained(model, rows, background, ask)
    for moved in (
        explained(model, rows[NAMES[::-1]], background, ask),
        explained(model, rows, background[NAMES[::-1]], ask),
    ):
        for name in NAMES:
            assert_allclose(moved[name], plain[name], atol=1e-12)


@pytest.mark.parametrize("change", [lambda f: f.drop(columns="rooms"), lambda f: f.rename(columns={"rooms": "room"})])
def test_a_missing_column_is_refused_by_name(houses: tuple[Any, pd.DataFrame], change: Any) -> None:
    model, frame = houses
    with pytest.raises(InputError, match="rooms"):
        explained(model, change(frame.iloc[:3]), frame.iloc[40:45], explain.shapley)
    with pytest.raises(InputError, match="rooms"):
        explained(model, frame.iloc[:3], change(frame.iloc[40:45]), explain.shapley)


def test_an_extra_column_is_refused(houses: tuple[Any, pd.DataFrame]) -> None:
    model, frame = houses
    with pytest.raises(InputError, match="extra"):
        explained(model, frame.iloc[:3].assign(extra=1.0), frame.iloc[40:45], explain.shapley)
    with pytest.raises(InputError, match="extra"):
        explained(model, frame.iloc[:3], frame.iloc[40:45].assign(extra=1.0), explain.shapley)


@pytest.mark.parametrize("width", [3, 5])
def test_an_array_of_another_width_is_refused(houses: tuple[Any, pd.DataFrame], width: int) -> None:
    model, frame = houses
    wide = np.ones((3, width))
    with pytest.raises(InputError, match=str(width)):
        explained(model, wide, frame.iloc[40:45], explain.shapley)


@pytest.mark.parametrize("width", [3, 5])
def test_a_background_of_another_width_is_refused(width: int) -> None:
    case = assay.examples.linear((1.0, 2.0, 3.0, 4.0))
    with pytest.raises(InputError, match=str(width)):
        explain.shapley(case, remove=assay.Marginal(np.ones((2, width))))
