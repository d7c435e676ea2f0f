"""What shap gets wrong with trees and backgrounds, as recorded: here it is right, or refused."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.ensemble import AdaBoostRegressor, BaggingRegressor, HistGradientBoostingRegressor, RandomForestRegressor

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError

GENERATOR = np.random.default_rng(5)
X = pd.DataFrame(GENERATOR.normal(size=(400, 4)), columns=["a", "b", "c", "d"])
Y = X["a"] * X["b"] + X["c"]
FOREST = RandomForestRegressor(10, max_depth=6, random_state=0).fit(X, Y)


def test_forty_columns_of_a_linear_model_all_get_their_share():
    """shap (a): ten features are kept by default; thirty shares were exactly 0."""
    slopes = GENERATOR.normal(size=40)
    model = assay.model.function(lambda x: x @ slopes, name="linear", fingerprint="linear 40")
    x, other = GENERATOR.normal(size=(2, 40)), GENERATOR.normal(size=(10, 40))
    found = explain.shapley(assay.case(model, x), remove=assay.Marginal(other), budget=400)
    assert_allclose(found.values, slopes * (x - other.mean(axis=0)), atol=1e-10)


def test_every_row_of_the_background_counts():
    """shap (b): backgrounds are cut to 100 rows; the base was that of the first hundred."""
    other = X.iloc[:300]
    found = explain.tree_shapley(assay.case(assay.wrap(FOREST), X.iloc[:3]), background=other)
    assert_allclose(found.base, FOREST.predict(other).mean(), atol=1e-12)
    assert abs(FOREST.predict(other.iloc[:100]).mean() - found.base[0]) > 1e-3


def test_interactions_against_a_background_are_not_zero():
    """shap (c): all zeros, with a print from C."""
    case = assay.case(assay.wrap(FOREST), X.iloc[:20])
    found = explain.tree_interactions(case, background=X.iloc[100:150])
    assert np.abs(found.extra["interactions"][:, 0, 1]).mean() > 0.05
    model_agnostic = explain.interactions(case, remove=assay.Marginal(X.iloc[100:150]), index="k_sii")
    off = ~np.eye(4, dtype=bool)
    assert_allclose(found.extra["interactions"][:, off], model_agnostic.extra["pairs"][:, off], atol=1e-12)


@pytest.mark.parametrize("columns", [["a", "b", "c"], ["a", "b", "c", "d", "e"]])
def test_too_few_or_too_many_columns_are_refused(columns):
    """shap (d): too few columns corrupt the heap, extra ones return a padded array."""
    odd = X.assign(e=1.0)[columns]
    case = assay.case(assay.wrap(FOREST), X.iloc[:3])
    with pytest.raises(InputError, match="columns do not fit"):
        assay.case(assay.wrap(FOREST), odd.iloc[:3])
    with pytest.raises(InputError, match="columns do not fit"):
        explain.tree_shapley(case, background=odd)
    with pytest.raises(InputError, match=r"3, 5|shape"):
        explain.tree_shapley(assay.case(assay.wrap(FOREST), X.to_numpy()[:3]), background=np.zeros((3, 5)))


def test_reordered_columns_are_found_by_name():
    """shap (e): accepted silently, and wrong by 0.2."""
    model = assay.wrap(FOREST)
    turned = X[["d", "b", "a", "c"]]
    one = explain.tree_shapley(assay.case(model, X.iloc[:5]), background=X.iloc[100:150])
    other = explain.tree_shapley(assay.case(model, turned.iloc[:5]), background=turned.iloc[100:150])
    assert_allclose(one.values, other.values, atol=1e-12)
    assert one.features.names == other.features.names == ("a", "b", "c", "d")


def test_the_base_is_the_same_on_the_first_call_and_the_second():
    """shap (f): xgboost's expected_value changes after the first call."""
    xgboost = pytest.importorskip("xgboost")
    fitted = xgboost.XGBRegressor(n_estimators=10, max_depth=3, n_jobs=1, base_score=2.5).fit(X, Y)
    case = assay.case(assay.wrap(fitted), X.iloc[:5])
    first, second = explain.tree_shapley(case), explain.tree_shapley(case)
    assert first.base.tobytes() == second.base.tobytes()
    assert_allclose(first.residual, 0.0, atol=1e-5)


def test_a_row_on_a_threshold_goes_where_the_library_sends_it():
    """shap (g): float32 casts put rows into the wrong bucket."""
    xgboost = pytest.importorskip("xgboost")
    step = np.float32(0.1)
    x = np.array([[float(step)], [float(np.nextafter(step, np.float32(-1)))], [0.1]] * 40)
    y = (np.arange(len(x)) % 3 == 1).astype(float)
    fitted = xgboost.XGBRegressor(n_estimators=1, max_depth=1, min_child_weight=0, n_jobs=1).fit(x, y)
    case = assay.case(assay.wrap(fitted), x[:3])
    found = explain.tree_shapley(case, background=x)
    assert_allclose(found.residual, 0.0, atol=1e-7)
    assert found.output[0] != found.output[1]


def test_categories_bags_and_boosted_histograms_have_values_and_adaboost_is_refused():
    """shap (h): categorical splits by cover only; text categories, Bagging and Pipelines not at all."""
    kinds = X.assign(kind=pd.Categorical(np.where(X["d"] > 0.3, "red", np.where(X["d"] < -0.3, "blue", "green"))))
    y = Y + 2 * (kinds["kind"] == "red")
    boosted = HistGradientBoostingRegressor(max_iter=20, categorical_features="from_dtype").fit(kinds, y)
    found = explain.tree_shapley(assay.case(assay.wrap(boosted), kinds.iloc[:6]), background=kinds.iloc[50:90])
    exact = explain.shapley(assay.case(assay.wrap(boosted), kinds.iloc[:6]), remove=assay.Marginal(kinds.iloc[50:90]))
    assert_allclose(found.values, exact.values, atol=1e-10)
    assert np.abs(found.values[:, 4]).max() > 0.5
    bag = BaggingRegressor(n_estimators=4, random_state=0).fit(X, Y)
    bagged = explain.tree_shapley(assay.case(assay.wrap(bag), X.iloc[:4]), background=X.iloc[60:90])
    assert_allclose(bagged.residual, 0.0, atol=1e-12)
    with pytest.raises(
        CapabilityError, match=r"AdaBoostRegressor.*explain.shapley takes any model|needs a model of trees"
    ):
        explain.tree_shapley(assay.case(assay.wrap(AdaBoostRegressor(n_estimators=2).fit(X, Y)), X.iloc[:2]))
