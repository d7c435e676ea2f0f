"""scikit-learn's histogram gradient boosting as a forest."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from tests.model.forests.checks import CLASSES, FRAME, GAPS, THREE, TWO, VALUE, WEIGHT, X, agrees, read, wired

import assay

FEW: dict[str, Any] = {"max_iter": 8, "min_samples_leaf": 3, "random_state": 0}
CODED = FRAME.astype({"purpose": "category"})


@pytest.mark.parametrize("x", [X, GAPS], ids=["whole", "gaps"])
@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("depth", [1, None, 14])
def test_classes_are_the_raw_score(labels: Any, x: Any, depth: Any) -> None:
    estimator = HistGradientBoostingClassifier(max_depth=depth, max_leaf_nodes=None, **FEW).fit(x, labels, WEIGHT)
    forest = agrees("hist", estimator, x, estimator.decision_function(x))
    assert forest.gives == "margin"
    assert (forest.depth == 1) == (depth == 1)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "quantile"])
def test_values_are_the_prediction(loss: str) -> None:
    quantile = 0.3 if loss == "quantile" else None
    estimator = HistGradientBoostingRegressor(loss=loss, quantile=quantile, **FEW).fit(GAPS, VALUE)
    assert agrees("hist", estimator, GAPS, estimator.predict(GAPS)).gives == "values"


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_a_link_leaves_the_raw_score(loss: str) -> None:
    estimator = HistGradientBoostingRegressor(loss=loss, **FEW).fit(X, np.exp(VALUE))
    assert agrees("hist", estimator, X, np.log(estimator.predict(X))).gives == "margin"
    assert assay.wrap(estimator).gives == "values"


@pytest.mark.parametrize("categories", ["from_dtype", ["purpose", "band", "old"]], ids=["dtype", "named"])
def test_categories_of_text_and_numbers_are_followed_with_gaps_and_strangers(categories: Any) -> None:
    gone = np.arange(len(CODED)) % 7 == 0
    frame = CODED.assign(purpose=CODED["purpose"].mask(gone), band=FRAME["band"].astype(float).mask(gone[::-1]))
    estimator = HistGradientBoostingClassifier(categorical_features=categories, **FEW).fit(frame, CLASSES)
    forest = agrees("hist", estimator, frame, estimator.decision_function(frame))
    assert (forest.levels >= 0).any()
    strange = frame.assign(purpose=pd.Categorical(["never"] * len(frame)), band=77.0)
    agrees("hist", estimator, strange, estimator.decision_function(strange))


def test_categories_come_first_and_know_where_they_come_from() -> None:
    estimator = HistGradientBoostingRegressor(categorical_features=[3], **FEW)
    x = np.column_stack([X[:, :3], np.round(X[:, 3]) + 9])
    forest = wired(estimator.fit(x, VALUE), x)
    assert_array_equal(forest.origin, [3, 0, 1, 2])


def test_a_model_of_frames_shows_its_forest() -> None:
    wired(HistGradientBoostingClassifier(**FEW).fit(CODED, CLASSES), CODED)


def test_trees_that_never_split_are_one_leaf() -> None:
    estimator = HistGradientBoostingRegressor(**FEW).fit(X, np.full(len(X), 2.0))
    assert agrees("hist", estimator, X, estimator.predict(X)).depth == 0


def test_thresholds_are_compared_in_float64() -> None:
    estimator = HistGradientBoostingRegressor(**FEW).fit(X, VALUE)
    forest, _ = read("hist", estimator)
    inner = np.flatnonzero(forest.column >= 0)
    rows = np.repeat(X[:1], 2 * len(inner), axis=0)
    exact = forest.threshold[inner]
    rows[np.arange(len(rows)), np.tile(forest.column[inner], 2)] = np.concatenate([exact, np.nextafter(exact, np.inf)])
    agrees("hist", estimator, rows, estimator.predict(rows))


def test_gaps_in_the_rows_of_a_case_reach_the_trees() -> None:
    wired(HistGradientBoostingClassifier(**FEW).fit(GAPS, THREE), GAPS)
