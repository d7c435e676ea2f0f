"""CatBoost as a model, and its trees as a forest."""

from typing import Any

import catboost
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tests.model.forests.checks import CLASSES, FRAME, GAPS, SCORE, THREE, TWO, VALUE, WEIGHT, X, agrees, read, wired

import assay
from assay import Marginal, explain
from assay.basics.errors import CapabilityError, InputError

FEW: dict[str, Any] = {"iterations": 8, "thread_count": 1, "verbose": 0, "allow_writing_files": False}
NAMED = {"cat_features": ["purpose", "band"], "one_hot_max_size": 255}
GROWN = pytest.mark.parametrize("grow", ["SymmetricTree", "Depthwise", "Lossguide"])


def classifier(**options: Any) -> Any:
    return catboost.CatBoostClassifier(**{**FEW, **options})


def regressor(**options: Any) -> Any:
    return catboost.CatBoostRegressor(**{**FEW, **options})


def raw(estimator: Any, x: Any) -> Any:
    return estimator.predict(x, prediction_type="RawFormulaVal")


@GROWN
@pytest.mark.parametrize("x", [X, GAPS], ids=["whole", "gaps"])
@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
def test_classes_are_the_raw_score(labels: Any, x: Any, grow: str) -> None:
    estimator = classifier(grow_policy=grow).fit(x, labels, sample_weight=WEIGHT)
    assert agrees("catboost", estimator, x, raw(estimator, x)).gives == "margin"


@pytest.mark.parametrize(
    "options", [{}, {"nan_mode": "Max"}, {"nan_mode": "Min"}, {"depth": 1}, {"depth": 12}], ids=str
)
def test_values_are_the_prediction(options: Any) -> None:
    estimator = regressor(**options).fit(GAPS, VALUE)
    forest = agrees("catboost", estimator, GAPS, estimator.predict(GAPS))
    assert (forest.gives, forest.depth) == ("values", options.get("depth", 6))
    assert_allclose(forest.cover[forest.roots], len(X))


def test_gaps_met_for_the_first_time_go_left() -> None:
    estimator = regressor().fit(X, VALUE)
    agrees("catboost", estimator, GAPS, estimator.predict(GAPS))


def test_several_values_stay_separate() -> None:
    estimator = regressor(loss_function="MultiRMSE").fit(X, np.column_stack([VALUE, X[:, 1]]))
    agrees("catboost", estimator, X, estimator.predict(X))


def test_a_link_leaves_the_raw_score() -> None:
    estimator = regressor(loss_function="Poisson").fit(X, np.exp(VALUE))
    assert agrees("catboost", estimator, X, raw(estimator, X)).gives == "margin"
    assert_allclose(assay.case(assay.wrap(estimator), X).output, estimator.predict(X))


def test_scale_and_bias_are_part_of_the_sum() -> None:
    estimator = regressor().fit(X, VALUE)
    estimator.set_scale_and_bias(2.5, -3.0)
    agrees("catboost", estimator, X, estimator.predict(X))


@GROWN
def test_categories_of_text_and_numbers_are_followed_with_strangers(grow: str) -> None:
    estimator = classifier(grow_policy=grow, **NAMED).fit(FRAME, CLASSES)
    forest = agrees("catboost", estimator, FRAME, raw(estimator, FRAME))
    assert (forest.levels >= 0).any()
    strange = FRAME.assign(purpose="never", band=77)
    agrees("catboost", estimator, strange, raw(estimator, strange))


@pytest.mark.parametrize("kind", [str, "category", object])
def test_frames_of_every_kind_show_their_forest(kind: Any) -> None:
    frame = FRAME.astype({"purpose": kind})
    estimator = classifier(**NAMED).fit(frame, CLASSES)
    case = assay.case(assay.wrap(estimator), frame)
    assert_allclose(case.prediction, raw(estimator, frame))
    assert_array_equal(case.label, estimator.predict(frame)[:, 0])
    assert case.target.name == "margin"
    forest = wired(estimator, frame)
    wired(estimator, pl.from_pandas(FRAME).select(*FRAME.columns[::-1]))
    assert_array_equal(forest.origin, np.arange(5))


def test_categories_survive_a_game() -> None:
    estimator = classifier(**NAMED).fit(FRAME, TWO)
    case = assay.case(assay.wrap(estimator), FRAME[:3], label=1)
    assert_allclose(explain.shapley(case, remove=Marginal(FRAME[10:13])).residual, 0.0, atol=1e-9)


def test_arrays_of_numbers_that_are_categories_are_written_whole() -> None:
    x = np.column_stack([X[:, 0], FRAME["band"]])
    written = pd.DataFrame({"0": X[:, 0], "1": FRAME["band"]})
    estimator = regressor(cat_features=[1], one_hot_max_size=255).fit(written.to_numpy(dtype=object), SCORE)
    assert_allclose(assay.case(assay.wrap(estimator), x).output, estimator.predict(written))
    wired(estimator, x)
    with pytest.raises(InputError, match="holds categories"):
        _ = assay.case(assay.wrap(estimator), x + 0.5).output


@pytest.mark.parametrize("fit_on", ["frame", "array"])
@pytest.mark.parametrize("ask_with", ["frame", "array", "polars"])
def test_frames_and_arrays_may_be_mixed(fit_on: str, ask_with: str) -> None:
    frame = pd.DataFrame(X, columns=list("abcde"))
    forms = {"frame": frame, "array": X, "polars": pl.from_pandas(frame)}
    estimator = classifier().fit(forms[fit_on], THREE)
    assert_allclose(assay.case(assay.wrap(estimator), forms[ask_with]).prediction, raw(estimator, forms[fit_on]))
    wired(estimator, forms[ask_with])


def test_at_the_end_of_a_pipeline_the_raw_score_is_read() -> None:
    columns = ColumnTransformer([("text", OneHotEncoder(), ["purpose"])], remainder="passthrough")
    fitted = make_pipeline(columns, classifier()).fit(FRAME, CLASSES)
    assert_allclose(assay.case(assay.wrap(fitted), FRAME).prediction, raw(fitted[-1], fitted[0].transform(FRAME)))
    assert_array_equal(wired(fitted, FRAME).origin, [2, 2, 2, 2, 2, 0, 1, 3, 4])


def test_the_fingerprint_follows_the_fit_and_not_the_time() -> None:
    one, same, other = (assay.wrap(classifier().fit(X, y)).fingerprint for y in (TWO, TWO, 1 - TWO))
    assert one == same != other


def test_an_unfitted_estimator_is_refused() -> None:
    with pytest.raises(InputError, match="CatBoostClassifier is not fitted yet"):
        assay.wrap(classifier())


def test_a_row_is_rounded_to_float32_before_it_is_compared() -> None:
    estimator = regressor(depth=4).fit(X[:, :1], VALUE)
    forest, _ = read("catboost", estimator)
    exact = forest.threshold[forest.column >= 0]
    rows = np.concatenate([exact, np.nextafter(exact, np.inf), exact + 1e-7, exact - 1e-7])[:, None]
    agrees("catboost", estimator, rows, estimator.predict(rows))
    assert (forest.outputs(rows)[:, 0] != estimator.predict(rows)).any()


def test_a_hand_made_tree_is_read_node_for_node() -> None:
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]] * 5)
    made = regressor(
        iterations=1,
        depth=2,
        learning_rate=1.0,
        l2_leaf_reg=0,
        boost_from_average=False,
        random_strength=0,
        bootstrap_type="No",
    )
    forest, _ = read("catboost", made.fit(x, x @ [4.0, 1.0]))
    assert_array_equal(forest.left, [1, 3, 5, -1, -1, -1, -1])
    assert_array_equal(forest.cover, [20, 10, 10, 5, 5, 5, 5])
    assert_array_equal(forest.threshold[:3], 0.5)
    assert_allclose(sorted(forest.value[3:, 0]), [0, 1, 4, 5])
    assert_allclose(forest.outputs(x)[:, 0], x @ [4.0, 1.0])


def test_trees_that_never_split_are_one_leaf() -> None:
    x = np.column_stack([np.arange(20.0), np.zeros(20)])
    estimator = regressor(grow_policy="Lossguide", min_data_in_leaf=100).fit(x, x[:, 0])
    assert agrees("catboost", estimator, x, estimator.predict(x)).depth == 0


def test_splits_by_statistics_of_categories_are_refused() -> None:
    model = assay.wrap(classifier(cat_features=["purpose", "band"], one_hot_max_size=2).fit(FRAME, TWO))
    assert model.forest is not None
    with pytest.raises(CapabilityError, match="one_hot_max_size=255"):
        model.forest()


def test_gaps_in_the_rows_of_a_case_reach_the_trees() -> None:
    frame = FRAME.assign(income=np.where(np.arange(len(FRAME)) % 5 == 0, np.nan, FRAME["income"]))
    wired(classifier(**NAMED).fit(frame, CLASSES), frame)


FLAG = X[:, 1] > 0
FLAGS: dict[str, Any] = {
    "bool": FLAG,
    "objects": FLAG.astype(object),
    "category": pd.Categorical(FLAG),
    "nullable": pd.array(FLAG, dtype="boolean"),
    "whole numbers": FLAG.astype(int),
    "numpy objects": np.array([np.int32(one) for one in FLAG], dtype=object),
    "text": np.where(FLAG, "True", "False"),
    "mixed": np.array([(True, "x", 2, "1")[i % 4] for i in range(len(X))], dtype=object),
}


@GROWN
@pytest.mark.parametrize("kind", FLAGS)
def test_categories_have_the_hash_of_the_text_that_catboost_writes(kind: str, grow: str) -> None:
    frame = pd.DataFrame({"a": X[:, 0], "k": FLAGS[kind]})
    y = X[:, 0] * FLAG + 2.0 * (frame["k"].astype(str) == str(frame["k"][0]))
    estimator = regressor(cat_features=["k"], one_hot_max_size=255, grow_policy=grow).fit(frame, y)
    forest = agrees("catboost", estimator, frame, estimator.predict(frame))
    assert (forest.levels >= 0).any()
    wired(estimator, frame)


@pytest.mark.parametrize(
    ("estimator", "y", "gives"),
    [
        (catboost.CatBoost({**FEW, "loss_function": "RMSE"}), VALUE, "values"),
        (catboost.CatBoost({**FEW, "loss_function": "Logloss"}), TWO, "margin"),
        (catboost.CatBoost({**FEW, "loss_function": "MultiClass"}), THREE, "margin"),
        (regressor(loss_function="Huber:delta=1"), VALUE, "values"),
        (regressor(loss_function="Tweedie:variance_power=1.5"), np.exp(VALUE), "margin"),
        (regressor(loss_function="RMSEWithUncertainty"), VALUE, "margin"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_the_estimators_own_predict_says_whether_the_raw_score_is_the_value(estimator: Any, y: Any, gives: str) -> None:
    estimator.fit(X, y)
    forest = agrees("catboost", estimator, X, raw(estimator, X))
    assert forest.gives == gives
    assert np.allclose(forest.outputs(X.astype(np.float32).astype(float)).ravel(), estimator.predict(X).ravel()) == (
        gives == "values" or type(estimator) is catboost.CatBoost
    )
