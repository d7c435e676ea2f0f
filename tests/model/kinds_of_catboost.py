"""Kinds of CatBoost models with what the library itself predicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import catboost
import numpy as np
import pandas as pd
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.model.kinds_of_boosters import (
    CENSORED,
    GROUPS,
    RANKED,
    adder,
    logistic_loss,
    own_of_booster,
    own_of_labels,
)
from tests.model.kinds_of_models import (
    BOOLS,
    COUNTS,
    FLOATS,
    FRAME,
    GAPS,
    LABELS,
    MANY,
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
    as_columns,
    chosen,
    own_of_estimator,
    two_columns,
)

KINDS: dict[str, Kind] = {}
"""The kinds of CatBoost by name."""

SMALL = {"iterations": 4, "depth": 2, "verbose": 0, "allow_writing_files": False, "thread_count": 1}


add = adder(KINDS, "catboost")


def own_of_ranker(estimator: Any) -> Own:
    """The predictions of a ranker."""
    return Own(value=lambda x: as_columns(estimator.predict(x)))


class LogisticLoss:
    """The log loss of the user's own; CatBoost maximises."""

    def calc_ders_range(self, scores: Any, truth: Any, weights: Any) -> list[tuple[float, float]]:
        """First and second derivative of each row."""
        first, second = logistic_loss(np.array(truth), np.array(scores))
        return [(-float(one), -float(two)) for one, two in zip(first, second)]


Classifier, Regressor, Base = catboost.CatBoostClassifier, catboost.CatBoostRegressor, catboost.CatBoost
CODES = pd.DataFrame({"a": X[:, 0], "code": (X[:, 1] > 0).astype(int) + (X[:, 2] > 0), "old": X[:, 3] > 0})
BY_SPLIT = {"one_hot_max_size": 9}
BY_STATISTICS = {"cat_features": ["purpose"], "one_hot_max_size": 1}

for name, (options, y, about) in {
    "two classes": ({}, TWO, {}),
    "two classes with gaps": ({}, TWO, {"x": GAPS}),
    "three classes": ({}, THREE, {}),
    "text classes": ({}, TEXT, {}),
    "text of three": ({}, WORDS, {}),
    "float classes": ({}, FLOATS, {}),
    "negative classes": ({}, SIGNS, {}),
    "negative classes of three": ({}, THREE - 1, {}),
    "boolean classes": ({}, BOOLS, {}),
    "shares of classes": ({}, TWO * 0.5 + 0.25, {}),
    "names in another order": ({"class_names": ["yes", "no"]}, TEXT, {}),
    "one against all": ({"loss_function": "MultiClassOneVsAll"}, THREE, {}),
    "labels": ({"loss_function": "MultiLogloss"}, LABELS, {"own": own_of_labels}),
    "label shares": ({"loss_function": "MultiCrossEntropy"}, LABELS * 0.6 + 0.2, {"own": own_of_labels}),
    "weights": ({"auto_class_weights": "Balanced"}, TWO, {}),
    "trees without symmetry": ({"grow_policy": "Lossguide"}, TWO, {}),
    "cross entropy": ({"loss_function": "CrossEntropy"}, SHARES, {}),
    "focal loss": ({"loss_function": "Focal:focal_alpha=0.3;focal_gamma=2.0"}, TWO, {}),
    "softmax of two": ({"loss_function": "MultiClass"}, TWO, {}),
    "early stopping": ({"early_stopping_rounds": 2}, TWO, {"fit": {"eval_set": (-X, TWO)}}),
    "own logistic loss": ({"loss_function": LogisticLoss(), "eval_metric": "Logloss"}, TWO, {}),
    "categories": (BY_SPLIT | {"cat_features": ["purpose"]}, TWO, {"x": FRAME}),
    "boolean categories": (BY_SPLIT | {"cat_features": ["code", "old"]}, TWO, {"x": CODES}),
    "categories by statistics": (BY_STATISTICS, TWO, {"x": FRAME, "trees": False}),
}.items():
    add(name, Classifier(**SMALL | options), y, **about)

for loss, y in {
    "RMSE": SCORE,
    "MAE": SCORE,
    "Poisson": COUNTS,
    "Tweedie:variance_power=1.5": COUNTS,
    "Quantile:alpha=0.8": SCORE,
    "MultiQuantile:alpha=0.1,0.5,0.9": SCORE,
    "MultiRMSE": MANY,
    "RMSEWithUncertainty": SCORE,
    "MAPE": POSITIVE,
    "LogLinQuantile:alpha=0.8": POSITIVE,
    "Expectile:alpha=0.8": SCORE,
    "Huber:delta=1.0": SCORE,
    "Lq:q=3": SCORE,
    "Cox": CENSORED,
}.items():
    add(loss, Regressor(**SMALL, loss_function=loss), y)

add("ranks", catboost.CatBoostRanker(**SMALL), RANKED, fit={"group_id": GROUPS}, own=own_of_ranker)
add(
    "pairs",
    catboost.CatBoostRanker(**SMALL, loss_function="PairLogit"),
    RANKED,
    fit={"group_id": GROUPS},
    own=own_of_ranker,
)
add("pipeline", make_pipeline(StandardScaler(), Classifier(**SMALL)), WORDS)
VOTE = VotingClassifier([("a", Classifier(**SMALL)), ("b", LogisticRegression())], voting="soft")
add("vote", VOTE, TWO, own=own_of_estimator, also=(), trees=False)


def with_threshold(value: float) -> Callable[[], Any]:
    """A classifier with a decision threshold."""

    def fit() -> Any:
        found = Classifier(**SMALL).fit(X, TWO)
        found.set_probability_threshold(value)
        return found

    return fit


for value in (0.3, 0.7):
    about = {"own": own_of_booster, "also": ("probabilities",), "trees": True}
    KINDS[f"catboost: threshold {value}"] = Kind(with_threshold(value), **about)


def own_of_classes(names: tuple[int, ...]) -> Callable[[Any], Own]:
    """The predictions of the class for every task, as a classifier."""
    return lambda estimator: Own(
        names,
        lambda x: estimator.predict(x, prediction_type="Probability"),
        lambda x: two_columns(estimator.predict(x)),
        lambda x: chosen(estimator.predict(x, prediction_type="Class"), names),
    )


add("base class of a value", Base(SMALL), SCORE)
add("base class of two", Base(SMALL | {"loss_function": "Logloss"}), TWO, own=own_of_classes((0, 1)))
add("base class of three", Base(SMALL | {"loss_function": "MultiClass"}), THREE, own=own_of_classes((0, 1, 2)))
