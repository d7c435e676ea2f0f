# SPDX-License-Identifier: Apache-2.0
"""scikit-learn estimators and pipelines as models."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import joblib
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.types import Array
from assay.model.adapters.function import as_given, as_outputs, class_names, quietly
from assay.model.forests import parsed
from assay.model.model import Model
from assay.nouns.inputs.rows import Rows
from assay.nouns.inputs.target import Gives

RAW: dict[str, dict[str, Any]] = {
    "xgboost": {"output_margin": True},
    "lightgbm": {"raw_score": True},
    "catboost": {"prediction_type": "RawFormulaVal"},
}
"""How ``predict`` of these libraries' classifiers is asked for raw scores."""


def sklearn(
    estimator: Any,
    *,
    classes: Sequence[str] | None = None,
    preprocess: Callable[[Any], Any] | None = None,
    scores: str | None = None,
    batch: int = 65536,
    name: str | None = None,
) -> Model:
    """A fitted estimator or Pipeline as a model, explained in the columns it was given, not in encoded ones.

    ``scores`` names what is read of a classifier: ``"probabilities"`` (the default where ``predict_proba`` exists)
    or ``"margin"`` (``decision_function``; the default of gradient-boosted classifiers, whose raw scores it is,
    those of XGBoost, LightGBM and CatBoost at a Pipeline's end included).
    """
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    predicts(last, estimator, "Wrap a function of rows instead.")
    gives = _classifies(estimator, last, scores) if is_classifier(last) else "values"
    if gives == "values" and scores not in (None, "values"):
        raise InputError(f"scores={scores!r}; a regressor gives 'values'.")
    read = _read(estimator, last, gives)
    known = getattr(estimator, "classes_", None) if gives != "values" else None
    columns = getattr(estimator, "feature_names_in_", None)

    def forward(rows: Rows) -> Array:
        return as_outputs(quietly(read, as_given(rows, preprocess)), len(rows))

    return Model(
        forward=forward,
        name=name or type(last).__name__,
        fingerprint=digest(str(joblib.hash(estimator)), gives, preprocess),
        gives=gives,
        classes=class_names(classes, known),
        columns=tuple(map(str, columns)) if columns is not None else None,
        batch=batch,
        default_target={"values": "value", "margin": "margin"}.get(gives, "probability"),
        gaps=_takes_gaps(estimator),
        forest=parsed(estimator, preprocess),
        about={
            "estimator": " ".join(repr(last).split()),
            "pipeline": " → ".join(n for n, _ in estimator.steps) if isinstance(estimator, Pipeline) else "no",
        },
    )


def predicts(last: Any, estimator: Any, otherwise: str) -> None:
    """Raise unless ``last`` is a classifier or a regressor, and ``estimator`` that ends in it is fitted."""
    known = isinstance(last, BaseEstimator) or _package(last) == "catboost"  # which keeps to the rules by itself
    if not known or not (is_classifier(last) or is_regressor(last)):
        raise CapabilityError(f"{type(last).__name__} is neither a classifier nor a regressor. {otherwise}")
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise InputError(f"{type(last).__name__} is not fitted yet. Call fit first.") from error


def _classifies(estimator: Any, last: Any, scores: str | None) -> Gives:
    """Which scores a classifier is read for: those wanted, else raw ones of boosted trees, else probabilities."""
    offered = [m for m in ("predict_proba", "decision_function") if callable(getattr(estimator, m, None))]
    if not offered:
        raise CapabilityError(
            f"{type(last).__name__} gives neither probabilities nor decision scores. Fit one that does."
        )
    boosted = isinstance(last, GradientBoostingClassifier | HistGradientBoostingClassifier) or _raw(last)
    wanted = scores or ("margin" if boosted or offered == ["decision_function"] else "probabilities")
    if wanted not in ("margin", "probabilities"):
        raise InputError(f"scores={wanted!r}; a classifier gives 'probabilities' or 'margin'.")
    return "margin" if wanted == "margin" else "probabilities"


def _read(estimator: Any, last: Any, gives: Gives) -> Callable[[Any], Any]:
    """The method that gives what is wanted."""
    if gives == "margin" and _raw(last):
        return functools.partial(estimator.predict, **_raw(last))
    if gives == "margin" and getattr(last, "decision_function_shape", "") == "ovo" and len(estimator.classes_) > 2:
        raise CapabilityError(f"{type(last).__name__} scores pairs of classes. Use decision_function_shape='ovr'.")
    name = {"values": "predict", "margin": "decision_function"}.get(gives, "predict_proba")
    read: Callable[[Any], Any] | None = getattr(estimator, name, None)
    if read is None:
        raise CapabilityError(f"{type(last).__name__} has no method that gives {gives}.")
    return read


def _takes_gaps(estimator: Any) -> bool:
    """Whether missing numbers go through: every step lets them pass, up to one that fills them in."""
    for _, step in estimator.steps if isinstance(estimator, Pipeline) else [("", estimator)]:
        if step is None or isinstance(step, str):
            continue  # "passthrough"
        if type(step).__name__.endswith("Imputer"):
            return True
        if not get_tags(step).input_tags.allow_nan:
            return False
    return True


def _raw(last: Any) -> dict[str, Any]:
    return RAW.get(_package(last), {})


def _package(last: Any) -> str:
    return type(last).__module__.partition(".")[0]
