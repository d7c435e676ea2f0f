"""XGBoost's trees as a forest; XGBoost adds them up in float32."""

import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from tests.model.forests.checks import CLASSES, FRAME, GAPS, SCORE, THREE, TWO, VALUE, WEIGHT, X, agrees, read, wired

import assay
from assay.basics.errors import CapabilityError, InputError

FEW: dict[str, Any] = {"n_estimators": 8, "n_jobs": 1, "random_state": 0}
CODED = FRAME.astype({"purpose": "category", "band": "category"})
CATEGORIES: dict[str, Any] = {"enable_categorical": True, "max_cat_to_onehot": 1, **FEW}
NEAR = 1e-5


def margin(estimator: Any, x: Any) -> Any:
    return estimator.predict(x, output_margin=True)


@pytest.mark.parametrize("x", [X, GAPS], ids=["whole", "gaps"])
@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("depth", [1, 6, 14])
def test_classes_are_the_raw_score(labels: Any, x: Any, depth: int) -> None:
    estimator = xgboost.XGBClassifier(max_depth=depth, min_child_weight=0, **FEW).fit(x, labels, sample_weight=WEIGHT)
    forest = agrees("xgboost", estimator, x, margin(estimator, x), NEAR)
    assert forest.gives == "margin"
    assert (forest.depth == 1) == (depth == 1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"booster": "dart", "rate_drop": 0.5, "one_drop": True},
        {"num_parallel_tree": 3, "subsample": 0.5},
        {"base_score": 7.5},
        {"tree_method": "exact", "gamma": 3.0},
        {"grow_policy": "lossguide", "max_leaves": 9, "max_depth": 0},
        {"objective": "reg:absoluteerror"},
        {"objective": "reg:quantileerror", "quantile_alpha": [0.2, 0.8]},
    ],
    ids=str,
)
def test_values_are_the_prediction(options: Any) -> None:
    estimator = xgboost.XGBRegressor(**options, **FEW).fit(GAPS, VALUE)
    assert agrees("xgboost", estimator, GAPS, estimator.predict(GAPS), NEAR).gives == "values"


@pytest.mark.parametrize("objective", ["count:poisson", "reg:gamma", "reg:tweedie", "reg:logistic", "survival:cox"])
@pytest.mark.parametrize("start", [None, 0.3])
def test_a_link_leaves_the_raw_score(objective: str, start: Any) -> None:
    y = TWO if objective == "reg:logistic" else np.exp(VALUE / 3)
    estimator = xgboost.XGBRegressor(objective=objective, base_score=start, **FEW).fit(X, y)
    assert agrees("xgboost", estimator, X, margin(estimator, X), NEAR).gives == "margin"
    assert assay.wrap(estimator).gives == "values"


@pytest.mark.parametrize("objective", ["binary:logitraw", "binary:hinge", "binary:logistic"])
def test_two_classes_begin_at_the_base_score(objective: str) -> None:
    estimator = xgboost.XGBClassifier(objective=objective, base_score=0.2, **FEW).fit(X, TWO)
    agrees("xgboost", estimator, X, margin(estimator, X), NEAR)


@pytest.mark.parametrize("labels", [THREE, np.column_stack([TWO, 1 - TWO, THREE > 1])], ids=["classes", "labels"])
def test_leaves_of_several_outputs_are_read(labels: Any) -> None:
    estimator = xgboost.XGBClassifier(multi_strategy="multi_output_tree", tree_method="hist", **FEW).fit(X, labels)
    forest = agrees("xgboost", estimator, X, margin(estimator, X), NEAR)
    assert len(forest.roots) == 8


@pytest.mark.parametrize("one_hot", [1, 50])
def test_categories_are_followed_with_gaps(one_hot: int) -> None:
    gone = np.arange(len(CODED)) % 7 == 0
    frame = CODED.assign(purpose=CODED["purpose"].mask(gone))
    estimator = xgboost.XGBClassifier(**{**CATEGORIES, "max_cat_to_onehot": one_hot}).fit(frame, CLASSES)
    forest = agrees("xgboost", estimator, frame, margin(estimator, frame), NEAR)
    assert (forest.levels >= 0).any()


def test_codes_that_no_split_names_go_left() -> None:
    x = np.column_stack([X[:, :2], FRAME["band"] - 3]).astype(float)
    estimator = xgboost.XGBRegressor(feature_types=["q", "q", "c"], **CATEGORIES).fit(x, SCORE)
    rows = np.repeat(x[:1], 8, axis=0)
    rows[:, 2] = [0.0, 1.0, 4.0, 5.0, 6.0, 99.0, 1e6, np.nan]
    forest = agrees("xgboost", estimator, rows, estimator.predict(rows), NEAR)
    assert (forest.levels >= 0).any()


def test_models_of_frames_and_boosters_show_their_forest() -> None:
    estimator = xgboost.XGBClassifier(**CATEGORIES).fit(CODED, CLASSES)
    wired(estimator, CODED, NEAR)
    wired(estimator.get_booster(), CODED, NEAR)
    plain = CODED.drop(columns="band")
    mixed = pl.from_pandas(plain).reverse().with_columns(pl.col("purpose").cast(pl.String))
    wired(xgboost.XGBClassifier(**CATEGORIES).fit(plain, CLASSES), mixed, NEAR)


def test_strange_categories_are_refused() -> None:
    _, matrix = read("xgboost", xgboost.XGBClassifier(**CATEGORIES).fit(CODED, CLASSES))
    with pytest.raises(InputError, match="'purpose' has categories unseen in training"):
        matrix(CODED.assign(purpose=pd.Categorical(["never"] * len(CODED))))


def test_another_number_may_stand_for_missing() -> None:
    x = np.where(np.isnan(GAPS), -9.25, X)
    estimator = xgboost.XGBRegressor(missing=-9.25, **FEW).fit(x, VALUE)
    rows = np.vstack([x, GAPS])
    agrees("xgboost", estimator, rows, estimator.predict(rows), NEAR)


def test_what_a_sparse_matrix_leaves_out_is_missing() -> None:
    x = np.where(np.abs(X) < 0.5, 0.0, X)
    estimator = xgboost.XGBRegressor(**FEW).fit(csr_array(x), VALUE)
    forest, matrix = read("xgboost", estimator)
    assert_allclose(forest.outputs(matrix(csr_array(x)))[:, 0], estimator.predict(csr_array(x)), rtol=NEAR, atol=NEAR)


def test_rounds_after_the_best_are_left_out() -> None:
    estimator = xgboost.XGBClassifier(**{**FEW, "n_estimators": 100, "early_stopping_rounds": 3, "learning_rate": 0.9})
    estimator.fit(X[:200], THREE[:200], eval_set=[(X[200:], THREE[200:])], verbose=False)
    assert estimator.best_iteration + 1 < estimator.get_booster().num_boosted_rounds()
    agrees("xgboost", estimator, X, margin(estimator, X), NEAR)


@pytest.mark.parametrize("y", [np.full(len(X), 2.0), VALUE], ids=["constant", "pruned"])
def test_trees_that_never_split_are_one_leaf(y: Any) -> None:
    estimator = xgboost.XGBRegressor(gamma=1e9, **FEW).fit(X, y)
    assert agrees("xgboost", estimator, X, estimator.predict(X), NEAR).depth == 0


def test_a_threshold_that_a_row_hits_in_float32_sends_it_right() -> None:
    estimator = xgboost.XGBRegressor(max_depth=12, min_child_weight=0, **FEW).fit(X[:, :1], VALUE)
    forest, matrix = read("xgboost", estimator)
    assert forest.depth == 12
    below = forest.threshold[forest.column >= 0].astype(np.float32)
    at = np.nextafter(below, np.float32(np.inf)).astype(float)
    rows = np.concatenate([below, at, np.nextafter(at, -np.inf), np.nextafter(at, np.inf), at - 1e-9])[:, None]
    assert (matrix(rows)[:, 0] != rows[:, 0]).any()
    agrees("xgboost", estimator, rows, estimator.predict(rows), NEAR)


def test_a_hand_made_tree_is_read_node_for_node() -> None:
    x = np.array([[0.0], [0.0], [1.0]])
    estimator = xgboost.XGBRegressor(
        **{**FEW, "n_estimators": 1}, base_score=0.5, learning_rate=1.0, reg_lambda=0.0, min_child_weight=0
    )
    forest, _ = read("xgboost", estimator.fit(x, [1.0, 1.0, 4.0]))
    assert_array_equal(forest.column, [0, -1, -1])
    assert_array_equal(forest.cover, [3, 2, 1])
    assert_allclose(forest.value.ravel(), [0, 0.5, 3.5])
    assert_array_equal(forest.base, [0.5])
    assert 0.0 <= forest.threshold[0] < 1.0


def test_a_linear_booster_is_refused() -> None:
    model = assay.wrap(xgboost.XGBRegressor(booster="gblinear", **FEW).fit(X, VALUE))
    assert model.forest is not None
    with pytest.raises(CapabilityError, match="Train with booster='gbtree'"):
        model.forest()


class Saved:
    """A booster of which only the saved form is known."""

    def __init__(self, learner: Any) -> None:
        self.learner = learner

    def save_raw(self, _: str) -> bytearray:
        return bytearray(json.dumps({"learner": self.learner}).encode())


@pytest.mark.parametrize("layout", ["dart until 3.3", "gbtree since 3.4"])
@pytest.mark.parametrize("rounds", [1, 8])
def test_the_weights_of_dart_are_found_in_every_layout(layout: str, rounds: int) -> None:
    estimator = xgboost.XGBRegressor(booster="dart", rate_drop=0.5, one_drop=True, **{**FEW, "n_estimators": rounds})
    estimator.fit(X, VALUE)
    learner = json.loads(bytes(estimator.get_booster().save_raw("json")))["learner"]
    parts = learner["gradient_booster"]
    is_new = parts["name"] == "gbtree"  # as this version of XGBoost writes it
    if is_new and layout == "dart until 3.3":
        pytest.skip(f"XGBoost {xgboost.__version__} no longer writes this layout")
    if layout == "gbtree since 3.4":
        weights = parts["model"]["weight_drop"] if is_new else parts["weight_drop"]
        model = (parts if is_new else parts["gbtree"])["model"] | {"weight_drop": weights}
        learner["gradient_booster"] = {"name": "gbtree", "model": model}
    agrees("xgboost", Saved(learner), X, estimator.predict(X), NEAR)
    if layout == "gbtree since 3.4":
        model["weight_drop"] = [*model["weight_drop"], 1.0]
        with pytest.raises(CapabilityError, match=f"{rounds + 1} weights for {rounds} trees"):
            read("xgboost", Saved(learner))


def test_a_plain_booster_has_no_weights_in_the_new_layout() -> None:
    estimator = xgboost.XGBRegressor(**FEW).fit(X, VALUE)
    learner = json.loads(bytes(estimator.get_booster().save_raw("json")))["learner"]
    learner["gradient_booster"]["model"]["weight_drop"] = []
    agrees("xgboost", Saved(learner), X, estimator.predict(X), NEAR)


@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("trees", [1, 3])
def test_after_early_stopping_each_object_uses_the_rounds_of_its_own_predict(labels: Any, trees: int) -> None:
    options = {**FEW, "n_estimators": 100, "early_stopping_rounds": 3, "learning_rate": 0.9, "num_parallel_tree": trees}
    estimator = xgboost.XGBClassifier(**options)
    estimator.fit(X[:200], labels[:200], eval_set=[(X[200:], labels[200:])], verbose=False)
    booster = estimator.get_booster()
    best, every = margin(estimator, X), booster.predict(xgboost.DMatrix(X), output_margin=True)
    assert np.abs(best - every).max() > 0.01
    agrees("xgboost", estimator, X, best, NEAR)
    agrees("xgboost", booster, X, every, NEAR)
    agrees("xgboost", booster[: booster.best_iteration + 1], X, best, NEAR)
    wired(estimator, X, NEAR)
    case = assay.case(assay.wrap(booster), X)
    assert_allclose(case.prediction, every.reshape(len(X), -1), rtol=NEAR, atol=NEAR)
    wired(booster, X, NEAR)


def test_all_rounds_are_used_again_where_the_best_one_is_forgotten() -> None:
    estimator = xgboost.XGBRegressor(**{**FEW, "n_estimators": 60, "early_stopping_rounds": 3, "learning_rate": 0.9})
    estimator.fit(X[:200], VALUE[:200], eval_set=[(X[200:], VALUE[200:])], verbose=False)
    estimator.get_booster().set_attr(best_iteration=None)
    agrees("xgboost", estimator, X, estimator.predict(X), NEAR)


def test_numbers_beyond_float32_are_infinite() -> None:
    _, matrix = read("xgboost", xgboost.XGBRegressor(**FEW).fit(X, VALUE))
    assert_array_equal(matrix(np.full((1, 5), 1e301)), np.inf)
