"""Boosted trees on real tables, through frames of two kinds."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from lightgbm import LGBMRegressor
from tests.shared import folder

import assay
from assay import explain

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def bikes():
    frame = pd.read_csv(folder("bike-sharing") / "hour.csv")
    columns = [
        c for c in ("hr", "temp", "hum", "windspeed", "workingday", "season", "weathersit") if c in frame.columns
    ]
    assert len(columns) >= 5, list(frame.columns)
    return frame[columns], frame["cnt"]


def test_the_hour_drives_bike_rentals_and_values_add_up(bikes):
    x, y = bikes
    model = assay.wrap(LGBMRegressor(n_estimators=60, verbose=-1, n_jobs=1).fit(x, y))
    case = assay.case(model, x.iloc[5000:5040])
    e = explain.shapley(case, remove=assay.Marginal(x.iloc[:4000:100]))
    assert e.features.names[int(np.abs(e.values).mean(axis=0).argmax())] == "hr"
    np.testing.assert_allclose(e.residual, 0.0, atol=1e-9)


def test_pandas_and_polars_rows_get_the_same_values(bikes):
    x, y = bikes
    model = assay.wrap(LGBMRegressor(n_estimators=20, verbose=-1, n_jobs=1).fit(x, y))
    rows, background = x.iloc[100:110], x.iloc[:2000:200]
    ours = explain.shapley(assay.case(model, rows), remove=assay.Marginal(background))
    other = explain.shapley(assay.case(model, pl.from_pandas(rows)), remove=assay.Marginal(pl.from_pandas(background)))
    np.testing.assert_array_equal(ours.values, other.values)
