"""Kinds of LightGBM models with what the library itself predicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightgbm
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.model import kinds_of_models
from tests.model.kinds_of_boosters import (
    RANKED,
    adder,
    logistic_loss,
    own_by_kind,
    own_of_scores,
    squares,
)
from tests.model.kinds_of_models import (
    BOOLS,
    COUNTS,
    FLOATS,
    FRAME,
    GAPS,
    LABELS,
    NO_PROBABILITIES,
    POSITIVE,
    SCORE,
    SHARES,
    SIGNS,
    TEXT,
    THREE,
    TWO,
    WORDS,
    Kind,
    Own,
    X,
)

KINDS: dict[str, Kind] = {}
"""The kinds of LightGBM by name."""

SMALL = {"n_estimators": 4, "num_leaves": 4, "min_child_samples": 4, "n_jobs": 1, "verbose": -1}


add = adder(KINDS, "lightgbm")


BAGS = {"bagging_freq": 1, "bagging_fraction": 0.6}
STOP = {"n_estimators": 30, "early_stopping_round": 2}
Classifier, Regressor = lightgbm.LGBMClassifier, lightgbm.LGBMRegressor
OVA = {"objective": "multiclassova"}
NO_TREES = {"trees": False}

for name, (options, y, about) in {
    "two classes": ({}, TWO, {}),
    "two classes with gaps": ({}, TWO, {"x": GAPS}),
    "three classes": ({}, THREE, {}),
    "text classes": ({}, TEXT, {}),
    "text of three": ({}, WORDS, {}),
    "float classes": ({}, FLOATS, {}),
    "negative classes": ({}, SIGNS, {}),
    "boolean classes": ({}, BOOLS, {}),
    "softmax of two": ({"objective": "multiclass", "num_class": 2}, TWO, {}),
    "three classes, early stopping": (STOP, THREE, {"fit": {"eval_set": [(-X, THREE)]}}),
    "three classes, dropped trees": ({"boosting_type": "dart"}, THREE, {}),
    "cross entropy of classes": ({"objective": "cross_entropy"}, TWO, {}),
    "steep sigmoid": ({"sigmoid": 2.0}, TWO, {}),
    "one against all": (OVA, THREE, {}),
    "one against all, steep": (OVA | {"sigmoid": 0.5}, THREE, {}),
    "random forest": ({"boosting_type": "rf", **BAGS}, TWO, {}),
    "random forest, steep": ({"boosting_type": "rf", "sigmoid": 2.0, **BAGS}, TWO, {}),
    "random forest of three": ({"boosting_type": "rf", **BAGS}, THREE, {}),
    "random forest, one against all": (OVA | {"boosting_type": "rf", **BAGS}, THREE, {}),
    "dropped trees": ({"boosting_type": "dart"}, TWO, {}),
    "lines in leaves": ({"linear_tree": True}, TWO, NO_TREES),
    "unbalanced": ({"is_unbalance": True}, TWO, {}),
    "categories": ({"min_data_per_group": 2}, TWO, {"x": FRAME}),
    "early stopping": (STOP, TWO, {"fit": {"eval_set": [(-X, TWO)]}}),
    "monotone": ({"monotone_constraints": [1, 0, -1, 0]}, TWO, {}),
    "extremely random": ({"extra_trees": True}, TWO, {}),
    "own logistic loss": ({"objective": logistic_loss}, TWO, {"own": own_of_scores, "refused": NO_PROBABILITIES}),
}.items():
    add(name, Classifier(**SMALL | options), y, **about)

for name, (options, y, about) in {
    "squares": ({}, SCORE, {}),
    "absolute error": ({"objective": "l1"}, SCORE, {}),
    "Huber": ({"objective": "huber"}, SCORE, {}),
    "Fair": ({"objective": "fair"}, SCORE, {}),
    "quantile": ({"objective": "quantile", "alpha": 0.8}, SCORE, {}),
    "counts": ({"objective": "poisson"}, COUNTS, {}),
    "gamma": ({"objective": "gamma"}, POSITIVE, {}),
    "Tweedie": ({"objective": "tweedie"}, COUNTS, {}),
    "shares": ({"objective": "cross_entropy"}, SHARES, {}),
    "shares with weights": ({"objective": "cross_entropy_lambda"}, SHARES, {}),
    "percentages": ({"objective": "mape"}, POSITIVE, {}),
    "roots": ({"reg_sqrt": True}, SCORE, {}),
    "lines in leaves of a value": ({"linear_tree": True}, SCORE, NO_TREES),
    "random forest of a value": ({"boosting_type": "rf", **BAGS}, SCORE, {}),
    "random forest of counts": ({"boosting_type": "rf", "objective": "poisson", **BAGS}, COUNTS, {}),
    "regressor of two classes": ({"objective": "binary"}, TWO, {}),
    "regressor of two classes, steep": ({"objective": "binary", "sigmoid": 2.0}, TWO, {}),
    "random forest of two classes": ({"objective": "binary", "boosting_type": "rf", **BAGS}, TWO, {}),
    "own squares": ({"objective": squares}, SCORE, {}),
}.items():
    add(name, Regressor(**SMALL | options), y, **about)

add("ranks", lightgbm.LGBMRanker(**SMALL), RANKED, fit={"group": [10] * 6})
BASE = Classifier(**SMALL)
PIPELINE = make_pipeline(StandardScaler(), BASE)
add("pipeline", PIPELINE, WORDS)
add("search of a pipeline", GridSearchCV(PIPELINE, {"lgbmclassifier__num_leaves": [3, 4]}, cv=2), THREE)
add("tuned threshold", TunedThresholdClassifierCV(BASE, cv=2, thresholds=20), TWO)
SCIKIT: dict[str, Any] = {"also": (), "trees": False}
LABELLED = SCIKIT | {"own": kinds_of_models.own_of_labels}
add("one per label", MultiOutputClassifier(BASE), LABELS, **LABELLED)
add("chain", ClassifierChain(BASE), LABELS, **LABELLED)
STACK = StackingClassifier([("a", LogisticRegression()), ("b", BASE)], final_estimator=BASE, cv=2)
add("stack", STACK, TWO, **SCIKIT | {"own": kinds_of_models.own_of_estimator})


def own_of(kind: str) -> Callable[[Any], Own]:
    """The predictions of a Booster by the kind of its objective."""
    return lambda booster: own_by_kind(booster.predict, "raw_score", kind)


def trained(params: Any, y: Any, x: Any = X, rows: Any = None, **options: Any) -> Callable[[], Any]:
    """A LightGBM Booster; ``rows`` are options of its data."""
    rounds = {name: value for name, value in SMALL.items() if name != "n_estimators"} | params
    return lambda: lightgbm.train(rounds, lightgbm.Dataset(x, y, free_raw_data=False, **(rows or {})), 4, **options)


BINARY, MANY_CLASSES = {"objective": "binary"}, {"objective": "multiclass", "num_class": 3}
FORESTS = {"boosting": "rf", **BAGS}
STOPPED = {"valid_sets": [lightgbm.Dataset(-X, TWO)]}
for name, kind, make in (
    ("two classes", "two", trained(BINARY, TWO)),
    ("steep sigmoid", "two", trained(BINARY | {"sigmoid": 2.0}, TWO)),
    ("random forest", "two", trained(BINARY | FORESTS, TWO)),
    ("three classes", "three", trained(MANY_CLASSES, THREE)),
    ("random forest of three", "three", trained(MANY_CLASSES | FORESTS, THREE)),
    ("one against all", "three", trained(OVA | {"num_class": 3}, THREE)),
    ("early stopping", "two", trained(BINARY | {"early_stopping_round": 2}, TWO, **STOPPED)),
    ("squares", "value", trained({"objective": "regression"}, SCORE)),
    ("counts", "value", trained({"objective": "poisson"}, COUNTS)),
    ("random forest of counts", "value", trained({"objective": "poisson"} | FORESTS, COUNTS)),
    ("quantile", "value", trained({"objective": "quantile", "alpha": 0.2}, SCORE)),
    ("ranks", "value", trained({"objective": "lambdarank"}, RANKED, rows={"group": [10] * 6})),
    ("own squares", "value", trained({"objective": lambda found, data: squares(data.get_label(), found)}, SCORE)),
):
    KINDS[f"lightgbm booster: {name}"] = Kind(make, own=own_of(kind), trees=True)
LINES = trained(BINARY | {"linear_tree": True}, TWO)
KINDS["lightgbm booster: lines in leaves"] = Kind(LINES, own=own_of("two"))
KINDS["lightgbm booster: categories"] = Kind(
    trained(BINARY | {"min_data_per_group": 2}, TWO, FRAME), FRAME, own_of("two"), trees=True
)
