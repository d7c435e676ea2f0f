"""What the tables of XGBoost, LightGBM and CatBoost share: predictions of their estimators, and own objectives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tests.model.kinds_of_models import (
    LABELS,
    POSITIVE,
    THREE,
    TWO,
    Kind,
    Own,
    Read,
    X,
    as_columns,
    chosen,
    complements,
    fitted,
    two_columns,
)

RAW = {
    "xgboost": {"output_margin": True},
    "lightgbm": {"raw_score": True},
    "catboost": {"prediction_type": "RawFormulaVal"},
}
RANKED, GROUPS = np.minimum(THREE, 2), np.repeat(np.arange(6), 10)
CENSORED = np.where(TWO == 1, POSITIVE, -POSITIVE)


def adder(kinds: dict[str, Kind], library: str, **usual: Any) -> Callable[..., None]:
    """A function that adds one more kind of a library; ``usual`` is what is known about all kinds."""

    def add(name: str, estimator: Any, y: Any, x: Any = X, fit: Any = None, **about: Any) -> None:
        """``fit`` are options of fitting."""
        about = {"own": own_of_booster, "trees": True} | usual | about
        if hasattr(estimator, "predict_proba") and "refused" not in about:
            about = {"also": ("probabilities",)} | about
        key = f"{library}: {name}"
        assert key not in kinds
        kinds[key] = Kind(fitted(estimator, y, x, **(fit or {})), x, **about)

    return add


def raw_scores(estimator: Any) -> Read:
    """The raw scores of an estimator, also at the end of a pipeline, a search or a threshold classifier."""
    for name in ("best_estimator_", "estimator_"):
        if hasattr(estimator, name):
            return raw_scores(getattr(estimator, name))
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    return lambda x: estimator.predict(x, **RAW[type(last).__module__.partition(".")[0]])


def own_of_booster(estimator: Any) -> Own:
    """The predictions of an estimator of these libraries; a softmax of two classes may decide in two columns."""
    raw = raw_scores(estimator)
    if not hasattr(estimator, "predict_proba"):
        return Own(value=lambda x: as_columns(estimator.predict(x)), margin=lambda x: as_columns(raw(x)))
    names = tuple(estimator.classes_)

    def decision(x: Any) -> np.ndarray:
        found = np.asarray(estimator.predict(x))
        return found if found.ndim == 2 and found.shape[1] == 2 else chosen(found, names)

    return Own(names, estimator.predict_proba, lambda x: two_columns(raw(x)), decision)


def own_of_labels(estimator: Any) -> Own:
    """The predictions of an estimator of several labels."""
    names = tuple(range(LABELS.shape[1]))
    return Own(
        names, estimator.predict_proba, raw_scores(estimator), lambda x: np.asarray(estimator.predict(x), dtype=float)
    )


def own_of_scores(estimator: Any) -> Own:
    """The predictions of a classifier whose scores become no probabilities, and whose ``predict`` gives the scores."""
    raw = raw_scores(estimator)
    return Own((0, 1), None, lambda x: two_columns(raw(x)), lambda x: complements(raw(x) > 0))


def own_by_kind(predict: Callable[..., Any], raw_argument: str, kind: str) -> Own:
    """The predictions of a Booster: probabilities of "two" or "three" classes or of "labels", or a "value"."""

    def raw(x: Any) -> Any:
        return two_columns(predict(x, **{raw_argument: True}))

    if kind == "value":
        return Own(
            value=lambda x: as_columns(predict(x)), margin=lambda x: as_columns(predict(x, **{raw_argument: True}))
        )
    if kind == "labels":
        return Own((0, 1, 2), predict, raw, lambda x: predict(x) > 0.5)
    if kind == "three":
        return Own((0, 1, 2), predict, raw, lambda x: chosen(predict(x).argmax(axis=1), (0, 1, 2)))
    return Own((0, 1), lambda x: complements(predict(x)), raw, lambda x: complements(predict(x) > 0.5))


def logistic_loss(truth: Any, found: Any) -> tuple[Any, Any]:
    """Gradient and second derivative of the log loss, as an objective of the user's own."""
    p = 1 / (1 + np.exp(-found))
    return p - truth, p * (1 - p)


def cross_entropy(truth: Any, found: Any) -> tuple[Any, Any]:
    """The same of the cross entropy of three classes."""
    p = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
    return p - np.eye(3)[truth.astype(int)], p * (1 - p)


def squares(truth: Any, found: Any) -> tuple[Any, Any]:
    """The same of half the squared error."""
    return found - truth, np.ones_like(found)
