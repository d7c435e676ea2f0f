"""Every kind of tree model: path-dependent values are the library's own, the others those of all coalitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from numpy.testing import assert_allclose
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeRegressor
from tests.oracles import trees

import assay
from assay import explain

GENERATOR = np.random.default_rng(0)
N = 300
X = GENERATOR.normal(size=(N, 4)).astype(np.float32).astype(float)
Y = X[:, 0] * X[:, 1] + np.sin(2 * X[:, 2]) + 0.1 * GENERATOR.normal(size=N)
TWO, THREE = (Y > 0).astype(int), np.digitize(Y, [-0.5, 0.5])
PAIR = np.column_stack([Y, X[:, 3] ** 2])
LABELS = np.column_stack([TWO, (X[:, 3] > 0).astype(int)])
GAPS = np.where(GENERATOR.random(X.shape) < 0.2, np.nan, X)
CODED = pd.DataFrame(
    {"a": GAPS[:, 0], "k": pd.Categorical(GENERATOR.choice(list("uvwxyz"), N)), "b": X[:, 1], "t": X[:, 2] > 0}
)
SCORE = np.nan_to_num(CODED["a"]) * CODED["k"].isin(["u", "x"]) + CODED["b"] * CODED["t"]
MISSING = CODED.assign(k=CODED["k"].mask(GENERATOR.random(N) < 0.2))
GROUPS = np.repeat(np.arange(30), 10)

LGB: dict[str, Any] = {"n_estimators": 10, "num_leaves": 12, "verbose": -1, "n_jobs": 1, "min_child_samples": 5}
XGB: dict[str, Any] = {"n_estimators": 10, "max_depth": 4, "n_jobs": 1, "random_state": 0}
CAT: dict[str, Any] = {"iterations": 10, "depth": 4, "thread_count": 1, "verbose": 0, "allow_writing_files": False}
BAG = {"boosting_type": "rf", "subsample": 0.6, "subsample_freq": 1}
CODES = {"min_data_per_group": 1, "cat_smooth": 1.0, "max_cat_to_onehot": 1}
STOP = {"n_estimators": 60, "learning_rate": 0.9}


def lgb_stopped() -> Any:
    stop = lightgbm.early_stopping(3, verbose=False)
    return lightgbm.LGBMRegressor(**LGB | STOP).fit(X[:200], Y[:200], eval_X=X[200:], eval_y=Y[200:], callbacks=[stop])


def xgb_stopped(booster: bool) -> Any:
    estimator = xgboost.XGBRegressor(**XGB | STOP, early_stopping_rounds=3)
    estimator.fit(X[:200], Y[:200], eval_set=[(X[200:], Y[200:])], verbose=False)
    assert estimator.best_iteration + 1 < estimator.get_booster().num_boosted_rounds()
    return estimator.get_booster() if booster else estimator


def xgb_contributions(estimator: Any, x: Any, place: int) -> Any:
    booster = estimator if isinstance(estimator, xgboost.Booster) else estimator.get_booster()
    used = None if booster is estimator else getattr(estimator, "best_iteration", None)
    found = booster.predict(
        xgboost.DMatrix(x, enable_categorical=True),
        pred_contribs=True,
        iteration_range=(0, 0 if used is None else used + 1),
    )
    return found[:, place] if found.ndim == 3 else found


def lgb_contributions(estimator: Any, x: Any, place: int) -> Any:
    found = estimator.predict(x, pred_contrib=True)
    columns = x.shape[1] + 1
    found = found[:, place * columns : (place + 1) * columns] if found.shape[1] > columns else found
    averages = getattr(estimator, "boosting_type", "") == "rf" and isinstance(estimator, lightgbm.LGBMRegressor)
    return found / estimator.n_estimators if averages else found


def cat_contributions(estimator: Any, x: Any, place: int) -> Any:
    pool = catboost.Pool(x, cat_features=estimator.get_cat_feature_indices())
    found = estimator.get_feature_importance(pool, type="ShapValues")
    return found[:, place] if found.ndim == 3 else found


CATEGORY = {"cat_features": ["k", "t"], "one_hot_max_size": 255}


Kind = tuple[Callable[[], Any], Any, int]
"""A function that fits the model, the rows, and the output explained."""

WALKED: dict[str, Kind] = {
    "extra trees": (lambda: ExtraTreesRegressor(6, max_depth=5, random_state=0).fit(X, Y), X, 0),
    "extra trees of classes": (lambda: ExtraTreesClassifier(6, max_depth=5, random_state=0).fit(X, THREE), X, 2),
    "forest of two values": (lambda: RandomForestRegressor(6, max_depth=5, random_state=0).fit(X, PAIR), X, 1),
    "forest of two labels": (lambda: RandomForestClassifier(6, max_depth=5, random_state=0).fit(X, LABELS), X, 1),
    "forest of a label and a constant": (
        lambda: ExtraTreesClassifier(6, max_depth=5, random_state=0).fit(X, np.column_stack([TWO, TWO * 0 + 1])),
        X,
        0,
    ),
    "tree with gaps": (lambda: DecisionTreeRegressor(max_depth=5, random_state=0).fit(GAPS, Y), GAPS, 0),
    "monotone forest": (
        lambda: RandomForestClassifier(6, max_depth=5, monotonic_cst=[1, 0, -1, 0], random_state=0).fit(X, TWO),
        X,
        1,
    ),
    "boosting from zero": (lambda: GradientBoostingClassifier(n_estimators=6, init="zero").fit(X, THREE), X, 1),
    "boosting of exponential loss": (
        lambda: GradientBoostingClassifier(n_estimators=6, loss="exponential").fit(X, TWO),
        X,
        1,
    ),
    "boosting from a forest": (
        lambda: GradientBoostingRegressor(n_estimators=6, init=RandomForestRegressor(4, max_depth=3)).fit(X, Y),
        X,
        0,
    ),
    "boosting from boosting": (
        lambda: GradientBoostingRegressor(n_estimators=6, init=HistGradientBoostingRegressor(max_iter=4)).fit(X, Y),
        X,
        0,
    ),
    "histograms of a frame": (
        lambda: HistGradientBoostingClassifier(max_iter=6, categorical_features="from_dtype").fit(MISSING, THREE),
        MISSING,
        1,
    ),
    "monotone histograms with gaps": (
        lambda: HistGradientBoostingRegressor(max_iter=6, monotonic_cst=[1, -1, 0, 0]).fit(GAPS, Y),
        GAPS,
        0,
    ),
    # CatBoost's own values of such trees differ where a path asks for a feature twice
    "CatBoost's uneven trees": (
        lambda: catboost.CatBoostClassifier(grow_policy="Lossguide", **CATEGORY, **CAT).fit(CODED, TWO),
        CODED,
        1,
    ),
}
"""Models whose library gives no path-dependent values, or others."""

LIGHTGBM: dict[str, Kind] = {
    "dart": (lambda: lightgbm.LGBMRegressor(boosting_type="dart", drop_rate=0.5, **LGB).fit(GAPS, Y), GAPS, 0),
    "mean of trees": (lambda: lightgbm.LGBMRegressor(**BAG, **LGB).fit(X, Y), X, 0),
    "mean of trees of two classes": (lambda: lightgbm.LGBMClassifier(**BAG, **LGB).fit(X, TWO), X, 1),
    "mean of trees of classes": (lambda: lightgbm.LGBMClassifier(**BAG, **LGB).fit(X, THREE), X, 2),
    "one against all": (
        lambda: lightgbm.LGBMClassifier(objective="multiclassova", sigmoid=2.0, **LGB).fit(X, THREE),
        X,
        1,
    ),
    "monotone": (lambda: lightgbm.LGBMRegressor(monotone_constraints=[1, 0, -1, 0], **LGB).fit(X, Y), X, 0),
    "extra trees": (lambda: lightgbm.LGBMRegressor(extra_trees=True, path_smooth=1.0, **LGB).fit(X, Y), X, 0),
    "categories": (lambda: lightgbm.LGBMRegressor(**CODES, **LGB).fit(CODED, SCORE), CODED, 0),
    "categories with gaps": (lambda: lightgbm.LGBMRegressor(**CODES, **LGB).fit(MISSING, SCORE), MISSING, 0),
    "zeros are gaps": (
        lambda: lightgbm.LGBMRegressor(zero_as_missing=True, **LGB).fit(np.nan_to_num(GAPS), Y),
        np.nan_to_num(GAPS),
        0,
    ),
    "stopped early": (lgb_stopped, X, 0),
    "ranks": (lambda: lightgbm.LGBMRanker(**LGB).fit(X, THREE, group=[10] * 30), X, 0),
}
XGBOOST: dict[str, Kind] = {
    "dart": (lambda: xgboost.XGBRegressor(booster="dart", rate_drop=0.5, one_drop=True, **XGB).fit(GAPS, Y), GAPS, 0),
    "classes": (lambda: xgboost.XGBClassifier(**XGB).fit(GAPS, THREE), GAPS, 2),
    "labels": (lambda: xgboost.XGBClassifier(**XGB).fit(X, LABELS), X, 1),
    "values": (lambda: xgboost.XGBRegressor(**XGB).fit(X, PAIR), X, 1),
    "monotone": (lambda: xgboost.XGBRegressor(monotone_constraints=(1, 0, -1, 0), **XGB).fit(X, Y), X, 0),
    "forest": (lambda: xgboost.XGBRFRegressor(**XGB).fit(X, Y), X, 0),
    "categories": (lambda: xgboost.XGBRegressor(enable_categorical=True, **XGB).fit(CODED, SCORE), CODED, 0),
    "sets of categories with gaps": (
        lambda: xgboost.XGBRegressor(enable_categorical=True, max_cat_to_onehot=1, **XGB).fit(MISSING, SCORE),
        MISSING,
        0,
    ),
    "stopped early": (lambda: xgb_stopped(False), X, 0),
    "booster that stopped early": (lambda: xgb_stopped(True), X, 0),
    "ranks": (lambda: xgboost.XGBRanker(**XGB).fit(X, THREE, qid=GROUPS), X, 0),
}
CATBOOST: dict[str, Kind] = {
    "gaps below all": (lambda: catboost.CatBoostRegressor(nan_mode="Min", **CAT).fit(GAPS, Y), GAPS, 0),
    "gaps above all": (lambda: catboost.CatBoostRegressor(nan_mode="Max", **CAT).fit(GAPS, Y), GAPS, 0),
    "one against all": (
        lambda: catboost.CatBoostClassifier(loss_function="MultiClassOneVsAll", **CAT).fit(X, THREE),
        X,
        2,
    ),
    "a boolean category": (lambda: catboost.CatBoostRegressor(**CATEGORY, **CAT).fit(CODED, SCORE), CODED, 0),
    "values": (lambda: catboost.CatBoostRegressor(loss_function="MultiRMSE", **CAT).fit(X, PAIR), X, 1),
    "the plain class": (lambda: catboost.CatBoost({"loss_function": "RMSE", **CAT}).fit(X, Y), X, 0),
    "ranks": (lambda: catboost.CatBoostRanker(**CAT).fit(X, THREE, group_id=GROUPS), X, 0),
    "quantiles": (
        lambda: catboost.CatBoostRegressor(loss_function="MultiQuantile:alpha=0.2,0.8", **CAT).fit(X, Y),
        X,
        1,
    ),
}  # fmt: skip


def agrees_with_coalitions(estimator: Any, rows: Any, label: int, tolerance: float) -> Any:
    """Values against a background, those of all coalitions; the other values add up to the model's output."""
    case = assay.case(assay.wrap(estimator), rows[:5], label=label)
    background = rows[20:35]
    found = explain.tree_shapley(case, background=background)
    exact = explain.shapley(case, remove=assay.Marginal(background))
    assert_allclose(found.values, exact.values, atol=tolerance)
    assert_allclose(found.base, exact.base, atol=tolerance)
    assert np.abs(found.values).max() > 1e-3
    by_cover = explain.tree_shapley(case)
    assert_allclose(by_cover.residual, 0.0, atol=tolerance)
    return by_cover


@pytest.mark.parametrize("name", WALKED)
def test_path_dependent_values_are_those_of_the_recursion_by_cover(name: str) -> None:
    fit, rows, label = WALKED[name]
    estimator = fit()
    found = agrees_with_coalitions(estimator, rows, label, 1e-10)
    case = assay.case(assay.wrap(estimator), rows[:3], label=label)
    assert case.model.forest is not None
    forest = case.model.forest()
    groups = [np.flatnonzero(forest.origin == column).tolist() for column in range(4)]
    for row, values in zip(forest.matrix(case.rows), found.values):
        by_walking = trees.shapley(trees.table(forest, row, groups), 4)
        assert_allclose(values, by_walking[:, label if by_walking.shape[1] > 1 else 0], atol=1e-12)


@pytest.mark.parametrize(
    ("library", "name"),
    [("lightgbm", name) for name in LIGHTGBM]
    + [("xgboost", name) for name in XGBOOST]
    + [("catboost", name) for name in CATBOOST],
)
def test_path_dependent_values_are_the_librarys_own(library: str, name: str) -> None:
    kinds, contributions, tolerance = {
        "lightgbm": (LIGHTGBM, lgb_contributions, 1e-9),
        "xgboost": (XGBOOST, xgb_contributions, 2e-5),  # XGBoost adds up in float32
        "catboost": (CATBOOST, cat_contributions, 1e-9),
    }[library]
    fit, rows, label = kinds[name]
    estimator = fit()
    found = agrees_with_coalitions(estimator, rows, label, tolerance)
    own = contributions(estimator, rows[:5], label)
    assert_allclose(found.values, own[:, :-1], atol=tolerance)
    assert_allclose(found.base, own[:, -1], atol=tolerance)
