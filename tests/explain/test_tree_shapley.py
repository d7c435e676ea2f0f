"""Tree Shapley values of every library's trees, against walking them and against the model-agnostic values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor
from tests.contract.subjects import loan_pipeline
from tests.oracles import trees
from tests.shared import folder

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError
from assay.nouns.inputs.features import groups

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(300, 4)).astype(np.float32).astype(np.float64)
Y = X[:, 0] * X[:, 1] + np.sin(2 * X[:, 2]) + 0.1 * GENERATOR.normal(size=300)
KIND = (Y > 0).astype(int)
THREE = np.digitize(Y, [-0.5, 0.5])


def xgb(**options: Any) -> Any:
    return pytest.importorskip("xgboost").XGBRegressor(n_estimators=12, max_depth=3, n_jobs=1, **options)


def lgb(kind: str, **options: Any) -> Any:
    library = pytest.importorskip("lightgbm")
    return getattr(library, kind)(n_estimators=12, num_leaves=8, verbose=-1, n_jobs=1, **options)


def cat(kind: str) -> Any:
    library = pytest.importorskip("catboost")
    return getattr(library, kind)(iterations=12, depth=3, verbose=False, thread_count=1, allow_writing_files=False)


REGRESSIONS = {
    "decision tree": lambda: DecisionTreeRegressor(max_depth=5, random_state=0).fit(X, Y),
    "extra trees": lambda: ExtraTreesRegressor(8, max_depth=5, random_state=0).fit(X, Y),
    "histogram boosting": lambda: HistGradientBoostingRegressor(max_iter=10, random_state=0).fit(X, Y),
    "xgboost": lambda: xgb().fit(X, Y),
    "lightgbm": lambda: lgb("LGBMRegressor").fit(X, Y),
    "catboost": lambda: cat("CatBoostRegressor").fit(X, Y),
    "a constant": lambda: DecisionTreeRegressor().fit(X, np.ones(300)),
}
SINGLE = {"xgboost": 1e-5}
"""Libraries that add up in float32: how far their own output is from the sum of the trees."""


@pytest.mark.parametrize("name", REGRESSIONS)
def test_interventional_values_are_those_of_the_marginal_game(name: str) -> None:
    case = assay.case(assay.wrap(REGRESSIONS[name]()), X[:6])
    background = X[100:120]
    found = explain.tree_shapley(case, background=background)
    exact = explain.shapley(case, remove=assay.Marginal(background))
    assert_allclose(found.values, exact.values, atol=SINGLE.get(name, 1e-10))
    assert_allclose(found.base, exact.base, atol=SINGLE.get(name, 1e-10))
    assert not found.provenance.cost.get("forwards", 0) > len(case)


@pytest.mark.parametrize("name", REGRESSIONS)
def test_path_dependent_values_are_those_of_the_recursion_by_cover(name: str) -> None:
    case = assay.case(assay.wrap(REGRESSIONS[name]()), X[:3])
    assert case.model.forest is not None
    forest = case.model.forest()
    rows = forest.matrix(case.rows)
    found = explain.tree_shapley(case)
    for x, values, base in zip(rows, found.values, found.base):
        v = trees.table(forest, x, [[0], [1], [2], [3]])
        assert_allclose(values, trees.shapley(v, 4)[:, 0], atol=1e-12)
        assert_allclose(base, v[frozenset()][0], atol=1e-12)


@pytest.mark.parametrize("name", REGRESSIONS)
@pytest.mark.parametrize("by", ["cover", "background"])
def test_values_add_up_in_float64(name: str, by: str) -> None:
    case = assay.case(assay.wrap(REGRESSIONS[name]()), X)
    found = explain.tree_shapley(case, background=X[:50] if by == "background" else None)
    assert case.model.forest is not None
    forest = case.model.forest()
    summed = forest.outputs(forest.matrix(case.rows))[:, 0]
    assert_allclose(found.base + found.values.sum(axis=1), summed, atol=1e-10)
    assert_allclose(found.residual, 0.0, atol=SINGLE.get(name, 1e-10))
    pairs = explain.tree_interactions(case.take(range(5)), background=X[:50] if by == "background" else None)
    assert_allclose(pairs.values, found.values[:5], atol=1e-12)
    assert_allclose(pairs.extra["interactions"].sum(axis=(1, 2)) + pairs.base, summed[:5], atol=1e-10)


CLASSIFIERS = {
    "xgboost": lambda y: pytest.importorskip("xgboost").XGBClassifier(n_estimators=8, max_depth=3, n_jobs=1).fit(X, y),
    "lightgbm": lambda y: lgb("LGBMClassifier").fit(X, y),
    "catboost": lambda y: cat("CatBoostClassifier").fit(X, y),
    "histogram boosting": lambda y: HistGradientBoostingClassifier(max_iter=8).fit(X, y),
    "boosting": lambda y: GradientBoostingClassifier(n_estimators=8).fit(X, y),
    "forest": lambda y: RandomForestClassifier(8, max_depth=5, random_state=0).fit(X, y),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("target", ["margin", "log_odds", "probability", "decision"])
@pytest.mark.parametrize("classes", [2, 3])
def test_every_target_has_its_own_game(name: str, target: str, classes: int) -> None:
    model = assay.wrap(CLASSIFIERS[name](KIND if classes == 2 else THREE))
    background = X[100:110]
    case = assay.case(model, X[:4], target=target, label=[0, 1, classes - 1, 0])
    if name == "forest" and target == "log_odds":
        pytest.skip("a forest's probability can be 0, its log-odds are then infinite")
    found = explain.tree_shapley(case, background=background)
    exact = explain.shapley(case, remove=assay.Marginal(background))
    assert_allclose(found.values, exact.values, atol=SINGLE.get(name, 1e-9))


def test_a_target_that_is_no_sum_of_trees_needs_a_background() -> None:
    case = assay.case(assay.wrap(CLASSIFIERS["xgboost"](KIND)), X[:3], target="probability")
    with pytest.raises(CapabilityError, match=r"probability.*not a weighted sum.*background"):
        explain.tree_shapley(case)
    with pytest.raises(CapabilityError, match=r"explain.interactions accepts any target"):
        explain.tree_interactions(case, background=X[:5])


def test_a_model_without_trees_is_refused() -> None:
    case = assay.case(assay.wrap(LinearRegression().fit(X, Y)), X[:3])
    with pytest.raises(CapabilityError, match=r"tree_shapley needs a model of trees"):
        explain.tree_shapley(case)


def test_groups_of_columns_are_players() -> None:
    model = assay.wrap(REGRESSIONS["extra trees"]())
    cut = groups({"first": ["a", "c"]}, ["a", "b", "c", "d"])
    case = assay.case(model, X[:4], features=cut)
    found = explain.tree_shapley(case, background=X[50:60])
    assert found.features.names == ("first", "b", "d")
    assert_allclose(found.values, explain.shapley(case, remove=assay.Marginal(X[50:60])).values, atol=1e-12)


def test_a_pipeline_explains_the_columns_that_come_in() -> None:
    frame, _ = loan_pipeline()
    y = frame["age"] * (frame["purpose"] == "car") - frame["sum"]
    encode = ColumnTransformer([("words", OneHotEncoder(), ["purpose"])], remainder="passthrough")
    pipeline = make_pipeline(encode, DecisionTreeRegressor(max_depth=6, random_state=0)).fit(frame, y)
    case = assay.case(assay.wrap(pipeline), frame.iloc[:5])
    found = explain.tree_shapley(case, background=frame.iloc[20:40])
    exact = explain.shapley(case, remove=assay.Marginal(frame.iloc[20:40]))
    assert found.features.names == ("age", "purpose", "sum")
    assert_allclose(found.values, exact.values, atol=1e-12)
    assert_allclose(explain.tree_shapley(case).residual, 0.0, atol=1e-12)


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "catboost", "histogram boosting"])
def test_missing_values_go_where_the_library_sends_them(name: str) -> None:
    gaps = X.copy()
    gaps[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    makers = {
        "xgboost": lambda: xgb(),
        "lightgbm": lambda: lgb("LGBMRegressor"),
        "catboost": lambda: cat("CatBoostRegressor"),
        "histogram boosting": lambda: HistGradientBoostingRegressor(max_iter=10),
    }
    case = assay.case(assay.wrap(makers[name]().fit(gaps, Y)), gaps[:6])
    assert np.isnan(case.rows.x).any()
    found = explain.tree_shapley(case, background=gaps[100:120])
    exact = explain.shapley(case, remove=assay.Marginal(gaps[100:120]))
    assert_allclose(found.values, exact.values, atol=SINGLE.get(name, 1e-10))
    assert_allclose(explain.tree_shapley(case).residual, 0.0, atol=SINGLE.get(name, 1e-10))


def test_a_pipeline_with_an_imputer_takes_missing_values() -> None:
    gaps = X.copy()
    gaps[::7, 2] = np.nan
    filled = make_pipeline(StandardScaler(), SimpleImputer(), LinearRegression()).fit(gaps, Y)
    assert np.isfinite(explain.shapley(assay.case(assay.wrap(filled), gaps[:8])).values).all()
    bare = make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y)
    with pytest.raises(InputError, match="complete"):
        assay.case(assay.wrap(bare), gaps[:8])


def test_a_model_without_missing_value_support_refuses_them() -> None:
    gaps = X[:5].copy()
    gaps[2, 1] = np.nan
    with pytest.raises(InputError, match=r"NaN or infinite values in row\(s\) 2"):
        assay.case(assay.wrap(LinearRegression().fit(X, Y)), gaps)
    gaps[2, 1] = np.inf
    with pytest.raises(InputError, match=r"infinite values in row\(s\) 2"):
        assay.case(assay.wrap(xgb().fit(X, Y)), gaps)


@pytest.mark.shared
def test_what_drives_house_prices_and_adds_up_for_every_row() -> None:
    frame = pd.read_csv(folder("california-housing") / "housing.csv").dropna()
    y = frame.pop("median_house_value")
    x = frame.select_dtypes("number")
    model = assay.wrap(HistGradientBoostingRegressor(max_iter=60, random_state=0).fit(x, y))
    case = assay.case(model, x.iloc[:2000])
    by_cover, by_rows = explain.tree_shapley(case), explain.tree_shapley(case, background=x.iloc[::50])
    for found in (by_cover, by_rows):
        assert_allclose(found.residual, 0.0, atol=1e-10 * float(y.max()))
        strongest = np.abs(found.values).mean(axis=0).argsort()[::-1][:3]
        assert "median_income" in [found.features.names[i] for i in strongest]
    few = case.take(range(3))
    sampled = explain.shapley(few, remove=assay.Marginal(x.iloc[::50]), budget=2**8)  # eight columns: all coalitions
    assert_allclose(by_rows.values[:3], sampled.values, atol=1e-9 * float(y.max()))
