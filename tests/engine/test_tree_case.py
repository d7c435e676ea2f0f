"""Targets read from trees: a target is that of the model's outputs, whatever the trees add up to."""

from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from numpy.testing import assert_allclose
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.model_selection import GridSearchCV

import assay
from assay import explain
from assay.basics.errors import CapabilityError
from assay.cases.case import Case
from assay.engine.trees.tree_case import linear_readout

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(300, 3))
Y = X[:, 0] * X[:, 1] + X[:, 2] / 2
TWO, THREE = (Y > 0).astype(int), np.digitize(Y, [-0.5, 0.5])
LGB: dict[str, Any] = {"n_estimators": 6, "num_leaves": 6, "verbose": -1, "n_jobs": 1}
BAG = {"boosting_type": "rf", "subsample": 0.6, "subsample_freq": 1}

CLASSIFIERS = {
    "lightgbm": lambda: lightgbm.LGBMClassifier(**LGB).fit(X, TWO),
    "lightgbm, steep sigmoid": lambda: lightgbm.LGBMClassifier(sigmoid=2.5, **LGB).fit(X, TWO),
    "lightgbm, mean of trees": lambda: lightgbm.LGBMClassifier(**BAG, **LGB).fit(X, TWO),
    "lightgbm, mean of trees of classes": lambda: lightgbm.LGBMClassifier(**BAG, **LGB).fit(X, THREE),
    "lightgbm, one against all": lambda: lightgbm.LGBMClassifier(objective="multiclassova", **LGB).fit(X, THREE),
    "xgboost": lambda: xgboost.XGBClassifier(n_estimators=6, max_depth=3, n_jobs=1).fit(X, THREE),
    "exponential loss": lambda: GradientBoostingClassifier(n_estimators=6, loss="exponential").fit(X, TWO),
    "search": lambda: GridSearchCV(RandomForestClassifier(5, max_depth=3), {"n_estimators": [4]}, cv=2).fit(X, TWO),
}


def expected_output(estimator: Any, rows: Any, target: str) -> Any:
    """The target of class 1 from the library's probabilities."""
    p = estimator.predict_proba(rows)
    own = p[:, 1]
    return {
        "probability": own,
        "log_odds": np.log(own) - np.log1p(-own),
        "margin": own - np.delete(p, 1, 1).max(axis=1),
    }[target]


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("output", [None, "probabilities"])
@pytest.mark.parametrize("target", ["margin", "log_odds", "probability"])
def test_a_target_is_that_of_the_models_outputs(name: str, output: Any, target: str) -> None:
    """The margin of probabilities is a difference of probabilities, and not the raw score that the trees add up to."""
    estimator = CLASSIFIERS[name]()
    case = assay.case(assay.wrap(estimator, output=output), X[:4], label=1, target=target)
    if output == "probabilities":
        expected = expected_output(estimator, X[:4], target)
        assert_allclose(case.output, expected, atol=1e-6 if name == "xgboost" else 1e-10)
    tolerance = 1e-5 if name == "xgboost" else 1e-10
    exact = explain.shapley(case, remove=assay.Marginal(X[20:30]))
    assert_allclose(explain.tree_shapley(case, background=X[20:30]).values, exact.values, atol=tolerance)
    if linear(case):
        assert_allclose(explain.tree_shapley(case).residual, 0.0, atol=tolerance)
    else:
        with pytest.raises(CapabilityError, match="not a weighted sum"):
            explain.tree_shapley(case)


def linear(case: Case) -> bool:
    assert case.model.forest is not None
    return linear_readout(case, case.model.forest()) is not None


@pytest.mark.parametrize(
    ("name", "output", "target", "expected"),
    [
        ("lightgbm", None, "log_odds", True),
        ("lightgbm", "probabilities", "log_odds", True),
        ("lightgbm", "probabilities", "margin", False),
        ("lightgbm, one against all", "probabilities", "log_odds", True),
        ("lightgbm, mean of trees of classes", None, "log_odds", False),
        ("lightgbm, mean of trees of classes", None, "margin", True),
        ("xgboost", "probabilities", "margin", False),
        ("search", None, "probability", True),
    ],
)
def test_a_target_is_a_weighted_sum_of_the_trees_where_the_link_allows_it(
    name: str, output: Any, target: str, expected: bool
) -> None:
    case = assay.case(assay.wrap(CLASSIFIERS[name](), output=output), X[:2], label=1, target=target)
    assert linear(case) == expected


@pytest.mark.parametrize("output", [None, "probabilities"])
def test_the_contrast_of_two_classes_is_a_difference_of_their_raw_scores(output: Any) -> None:
    estimator = CLASSIFIERS["lightgbm, mean of trees of classes"]()
    case = assay.case(assay.wrap(estimator, output=output), X[:4], label=2, target=assay.contrast(0))
    p = estimator.predict_proba(X[:4])
    if output == "probabilities":
        assert_allclose(case.output, np.log(p[:, 2] / p[:, 0]))
    assert linear(case)
    exact = explain.shapley(case, remove=assay.Marginal(X[20:30]))
    assert_allclose(explain.tree_shapley(case, background=X[20:30]).values, exact.values, atol=1e-10)


@pytest.mark.parametrize(
    ("estimator", "inverse"),
    [
        (HistGradientBoostingRegressor(loss="poisson", max_iter=5), np.log),
        (HistGradientBoostingRegressor(loss="gamma", max_iter=5), np.log),
        (lightgbm.LGBMRegressor(objective="tweedie", **LGB), np.log),
        (lightgbm.LGBMRegressor(objective="poisson", **BAG, **LGB), np.log),
        (lightgbm.LGBMRegressor(objective="cross_entropy", **LGB), lambda p: np.log(p / (1 - p))),
    ],
    ids=lambda one: getattr(one, "objective", type(one).__name__) or type(one).__name__,
)
def test_the_raw_score_of_a_regression_with_a_link_is_what_the_trees_add_up_to(estimator: Any, inverse: Any) -> None:
    y = np.exp(Y / 2)
    estimator.fit(X, y / y.max())
    model = assay.wrap(estimator)
    raw, value = (assay.case(model, X[:4], target=target) for target in ("margin", "value"))
    is_library = isinstance(estimator, lightgbm.LGBMRegressor)  # in random-forest mode its raw score is a sum
    expected = estimator.predict(X[:4], raw_score=True) if is_library else inverse(estimator.predict(X[:4]))
    assert_allclose(raw.output, expected, rtol=1e-6)
    assert (linear(raw), linear(value)) == (True, False)
    assert_allclose(explain.tree_shapley(raw).residual, 0.0, atol=1e-8)
    for case in (raw, value):
        exact = explain.shapley(case, remove=assay.Marginal(X[20:30]))
        assert_allclose(explain.tree_shapley(case, background=X[20:30]).values, exact.values, atol=1e-8)


def test_a_transformed_target_that_no_link_describes_needs_a_background() -> None:
    model = assay.wrap(lightgbm.LGBMRegressor(reg_sqrt=True, **LGB).fit(X, Y))
    case = assay.case(model, X[:4])
    assert not linear(case)
    exact = explain.shapley(case, remove=assay.Marginal(X[20:30]))
    assert_allclose(explain.tree_shapley(case, background=X[20:30]).values, exact.values, atol=1e-10)
