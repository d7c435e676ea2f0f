"""Kinds of XGBoost models with what the library itself predicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.model.kinds_of_boosters import (
    CENSORED,
    GROUPS,
    RANKED,
    adder,
    cross_entropy,
    logistic_loss,
    own_by_kind,
    own_of_labels,
    own_of_scores,
    raw_scores,
    squares,
)
from tests.model.kinds_of_models import (
    BOOLS,
    COUNTS,
    FRAME,
    GAPS,
    LABELS,
    MANY,
    NO_DECISIONS,
    NO_PROBABILITIES,
    POSITIVE,
    SCORE,
    SHARES,
    THREE,
    TREES,
    TWO,
    Kind,
    Own,
    X,
    chosen,
    complements,
    own_of_estimator,
    two_columns,
)

KINDS: dict[str, Kind] = {}
"""The kinds of XGBoost by name."""

SINGLE = 1e-5
"""The library predicts in float32."""

SMALL = {"n_estimators": 4, "max_depth": 2, "n_jobs": 1}


add = adder(KINDS, "xgboost", tolerance=SINGLE)


def own_of_logits(estimator: Any) -> Own:
    """The predictions of a classifier whose ``predict_proba`` gives raw scores, which ``predict`` compares with 0.5."""
    raw = raw_scores(estimator)
    return Own(
        (0, 1),
        lambda x: complements(1 / (1 + np.exp(-raw(x).astype(float)))),
        lambda x: two_columns(raw(x)),
        lambda x: chosen(estimator.predict(x), (0, 1)),
    )


def own_of_hinge(estimator: Any) -> Own:
    """The predictions of a classifier whose score becomes no probability."""
    return Own(
        (0, 1), None, lambda x: two_columns(raw_scores(estimator)(x)), lambda x: chosen(estimator.predict(x), (0, 1))
    )


STOP = {"early_stopping_rounds": 2, "n_estimators": 30}
Classifier, Regressor, Ranker = xgboost.XGBClassifier, xgboost.XGBRegressor, xgboost.XGBRanker
ONE_TREE = {"multi_strategy": "multi_output_tree", "tree_method": "hist"}
NO_TREES = {"trees": False}

for name, (options, y, about) in {
    "two classes": ({}, TWO, {}),
    "two classes with gaps": ({}, TWO, {"x": GAPS}),
    "boolean classes": ({}, BOOLS, {}),
    "three classes": ({}, THREE, {}),
    "three classes with a base score": ({"base_score": 0.3}, THREE, {}),
    "three classes, early stopping": (STOP, THREE, {"fit": {"eval_set": [(-X, THREE)], "verbose": False}}),
    "three classes, dropped trees": ({"booster": "dart", "rate_drop": 0.5}, THREE, {}),
    "three classes, lines": ({"booster": "gblinear"}, THREE, NO_TREES),
    "softmax": ({"objective": "multi:softmax"}, THREE, {}),
    "softmax of two": ({"objective": "multi:softprob", "num_class": 2}, TWO, {}),
    "hinge": ({"objective": "binary:hinge"}, TWO, {"own": own_of_hinge, "refused": NO_PROBABILITIES}),
    "raw logits": ({"objective": "binary:logitraw"}, TWO, {"own": own_of_logits, "also": ()}),
    "logistic regression of classes": ({"objective": "reg:logistic"}, TWO, {}),
    "base score": ({"base_score": 0.2}, TWO, {}),
    "labels": ({}, LABELS, {"own": own_of_labels}),
    "labels in one tree": (ONE_TREE, LABELS, {"own": own_of_labels}),
    "dropped trees": ({"booster": "dart", "rate_drop": 0.5}, TWO, {}),
    "lines": ({"booster": "gblinear"}, TWO, NO_TREES),
    "monotone": ({"monotone_constraints": (1, 0, -1, 0)}, TWO, {}),
    "interactions": ({"interaction_constraints": "[[0, 1], [2, 3]]"}, TWO, {}),
    "categories": ({"enable_categorical": True}, TWO, {"x": FRAME}),
    "early stopping": (STOP, TWO, {"fit": {"eval_set": [(-X, TWO)], "verbose": False}}),
    "positive weight": ({"scale_pos_weight": 3.0}, TWO, {}),
    "own logistic loss": ({"objective": logistic_loss}, TWO, {}),
    "own cross entropy": ({"objective": cross_entropy}, THREE, {}),
    "classifier of counts": (
        {"objective": "count:poisson"},
        TWO,
        {"own": own_of_scores, "refused": NO_PROBABILITIES | NO_DECISIONS},
    ),
}.items():
    add(name, Classifier(**SMALL | options), y, **about)

for name, (options, y, about) in {
    "squares": ({}, SCORE, {}),
    "shares": ({"objective": "reg:logistic"}, SHARES, {}),
    "counts": ({"objective": "count:poisson"}, COUNTS, {}),
    "gamma": ({"objective": "reg:gamma"}, POSITIVE, {}),
    "Tweedie": ({"objective": "reg:tweedie", "tweedie_variance_power": 1.3}, COUNTS, {}),
    "absolute error": ({"objective": "reg:absoluteerror"}, SCORE, {}),
    "Huber": ({"objective": "reg:pseudohubererror"}, SCORE, {}),
    "squared logarithms": ({"objective": "reg:squaredlogerror"}, POSITIVE, {}),
    "quantile": ({"objective": "reg:quantileerror", "quantile_alpha": 0.3}, SCORE, {}),
    "quantiles": ({"objective": "reg:quantileerror", "quantile_alpha": np.array([0.1, 0.5, 0.9])}, SCORE, {}),
    "two targets": ({}, MANY, {}),
    "two targets in one tree": (ONE_TREE, MANY, {}),
    "lines of a value": ({"booster": "gblinear"}, SCORE, NO_TREES),
    "hazard": ({"objective": "survival:cox"}, CENSORED, {}),
    "regressor of two classes": ({"objective": "binary:logistic"}, TWO, {}),
    "own squares": ({"objective": squares}, SCORE, {}),
    "value, early stopping": (STOP, SCORE, {"fit": {"eval_set": [(-X, SCORE)], "verbose": False}}),
}.items():
    add(name, Regressor(**SMALL | options), y, **about)

for objective in ("rank:pairwise", "rank:ndcg"):
    add(objective, Ranker(**SMALL, objective=objective), RANKED, fit={"qid": GROUPS})
add("random forest", xgboost.XGBRFClassifier(**SMALL), TWO)
add("random forest of three classes", xgboost.XGBRFClassifier(**SMALL), THREE)
add("random forest of a value", xgboost.XGBRFRegressor(**SMALL), SCORE)
BASE, THREE_TARGETS = Classifier(**SMALL), MultiOutputRegressor(Regressor(**SMALL))
add("pipeline", make_pipeline(StandardScaler(), BASE), TWO)
add("grid search", GridSearchCV(BASE, {"max_depth": [1, 2]}, cv=2), THREE)
add("search in a pipeline", make_pipeline(StandardScaler(), GridSearchCV(BASE, {"max_depth": [1]}, cv=2)), TWO,
    own=lambda fit: Own((0, 1), fit.predict_proba, lambda x: two_columns(raw_scores(fit[-1])(fit[:-1].transform(x))),
                        lambda x: chosen(fit.predict(x), (0, 1))))  # fmt: skip
add("threshold", FixedThresholdClassifier(BASE, threshold=0.3), TWO)
SCIKIT: dict[str, Any] = {"own": own_of_estimator, "also": (), "trees": False}
add("calibrated", CalibratedClassifierCV(BASE, cv=2), TWO, **SCIKIT)
add("one per target", THREE_TARGETS, MANY, **SCIKIT)
LOGARITHM = TransformedTargetRegressor(Regressor(**SMALL), func=np.log, inverse_func=np.exp)
add("logarithm of the target", LOGARITHM, POSITIVE, **SCIKIT)


def trained(params: Any, y: Any, **options: Any) -> Callable[[], Any]:
    """An XGBoost Booster."""
    rounds = {"max_depth": 2, "nthread": 1} | params
    return lambda: xgboost.train(rounds, xgboost.DMatrix(X, y), 4, verbose_eval=False, **options)


def own_of(kind: str) -> Callable[[Any], Own]:
    """The predictions of a Booster by the kind of its objective."""

    def own(booster: Any) -> Own:
        def predict(x: Any, **options: Any) -> Any:
            return booster.predict(xgboost.DMatrix(x), **options)

        def raw(x: Any) -> Any:
            return predict(x, output_margin=True)

        if kind == "hinge":
            return Own((0, 1), None, lambda x: two_columns(raw(x)), lambda x: complements(predict(x)))
        if kind == "softmax":  # predict gives classes

            def exponentials(x: Any) -> Any:
                return np.exp(raw(x).astype(float))

            return Own(
                (0, 1, 2),
                lambda x: exponentials(x) / exponentials(x).sum(axis=1, keepdims=True),
                raw,
                lambda x: chosen(predict(x), (0, 1, 2)),
            )
        if kind == "raw":  # predict gives log odds
            return Own(
                (0, 1),
                lambda x: complements(1 / (1 + np.exp(-predict(x).astype(float)))),
                lambda x: two_columns(raw(x)),
                lambda x: complements(predict(x) > 0),
            )
        return own_by_kind(predict, "output_margin", kind)

    return own


def survival_time() -> Any:
    """A Booster of accelerated failure times with censored rows."""
    data = xgboost.DMatrix(X)
    data.set_float_info("label_lower_bound", POSITIVE)
    data.set_float_info("label_upper_bound", np.where(TWO == 1, POSITIVE, np.inf))
    return xgboost.train({"objective": "survival:aft", "max_depth": 2, "nthread": 1}, data, 4)


LOGISTIC = {"objective": "binary:logistic"}
QUANTILES = {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.9]}
for name, kind, make in (
    ("two classes", "two", trained(LOGISTIC, TWO)),
    ("three classes", "three", trained({"objective": "multi:softprob", "num_class": 3}, THREE)),
    ("softmax", "softmax", trained({"objective": "multi:softmax", "num_class": 3}, THREE)),
    ("labels", "labels", trained(LOGISTIC, LABELS)),
    ("raw logits", "raw", trained({"objective": "binary:logitraw"}, TWO)),
    ("hinge", "hinge", trained({"objective": "binary:hinge"}, TWO)),
    ("early stopping", "two", trained(LOGISTIC, TWO, evals=[(xgboost.DMatrix(-X, TWO), "a")], early_stopping_rounds=2)),
    ("dropped trees", "two", trained(LOGISTIC | {"booster": "dart", "rate_drop": 0.5}, TWO)),
    ("lines", "two", trained(LOGISTIC | {"booster": "gblinear"}, TWO)),
    ("squares", "value", trained({}, SCORE)),
    ("two targets", "value", trained({}, MANY)),
    ("two targets in one tree", "value", trained(ONE_TREE, MANY)),
    ("quantiles", "value", trained(QUANTILES, SCORE)),
    ("shares", "value", trained({"objective": "reg:logistic"}, TWO)),
    ("counts", "value", trained({"objective": "count:poisson"}, COUNTS)),
    ("ranks", "value", trained({"objective": "rank:ndcg"}, RANKED)),
    ("survival time", "value", survival_time),
    ("own squares", "value", trained({}, SCORE, obj=lambda found, data: squares(data.get_label(), found))),
):
    about = {"refused": NO_PROBABILITIES} if kind == "hinge" else {}
    about |= TREES if name != "lines" else {}
    KINDS[f"xgboost booster: {name}"] = Kind(make, own=own_of(kind), tolerance=SINGLE, **about)
