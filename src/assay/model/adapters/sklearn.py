# SPDX-License-Identifier: Apache-2.0
"""Adapter for scikit-learn estimators and pipelines."""

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
from assay.model.adapters.function import class_names, predict_without_name_warning, prepare_rows, to_outputs
from assay.model.forests import forest_reader
from assay.model.model import Model
from assay.nouns.inputs.rows import Rows
from assay.nouns.inputs.target import Gives

RAW: dict[str, dict[str, Any]] = {
    "xgboost": {"output_margin": True},
    "lightgbm": {"raw_score": True},
    "catboost": {"prediction_type": "RawFormulaVal"},
}
"""The arguments with which ``predict`` of these libraries' classifiers returns raw scores."""


def sklearn(
    estimator: Any,
    *,
    classes: Sequence[str] | None = None,
    preprocess: Callable[[Any], Any] | None = None,
    scores: str | None = None,
    batch: int = 65536,
    name: str | None = None,
) -> Model:
    """A fitted estimator or Pipeline as a model; its features are the input columns, not the encoded ones.

    ``scores`` names a classifier's output: ``"probabilities"`` (the default where ``predict_proba`` exists) or
    ``"margin"`` (``decision_function``, or raw scores; the default of gradient-boosted classifiers, including those of
    XGBoost, LightGBM and CatBoost at the end of a Pipeline).
    """
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    require_fitted_predictor(last, estimator, "Wrap a function of rows instead.")
    gives = _choose_scores(estimator, last, scores) if is_classifier(last) else "values"
    if gives == "values" and scores not in (None, "values"):
        raise InputError(f"scores={scores!r}; a regressor gives 'values'.")
    read = _score_method(estimator, last, gives)
    known = getattr(estimator, "classes_", None) if gives != "values" else None
    columns = getattr(estimator, "feature_names_in_", None)

    def forward(rows: Rows) -> Array:
        return to_outputs(predict_without_name_warning(read, prepare_rows(rows, preprocess)), len(rows))

    return Model(
        forward=forward,
        name=name or type(last).__name__,
        fingerprint=digest(str(joblib.hash(estimator)), gives, preprocess),
        gives=gives,
        classes=class_names(classes, known),
        columns=tuple(map(str, columns)) if columns is not None else None,
        batch=batch,
        default_target={"values": "value", "margin": "margin"}.get(gives, "probability"),
        accepts_missing=_accepts_missing(estimator),
        forest=forest_reader(estimator, preprocess),
        about={
            "estimator": " ".join(repr(last).split()),
            "pipeline": " → ".join(n for n, _ in estimator.steps) if isinstance(estimator, Pipeline) else "no",
        },
    )


def require_fitted_predictor(last: Any, estimator: Any, otherwise: str) -> None:
    """Raise unless ``last`` is a classifier or a regressor, and ``estimator``, whose last step it is, is fitted."""
    known = isinstance(last, BaseEstimator) or _package(last) == "catboost"  # no BaseEstimator, but the same interface
    if not known or not (is_classifier(last) or is_regressor(last)):
        raise CapabilityError(f"{type(last).__name__} is neither a classifier nor a regressor. {otherwise}")
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise InputError(f"{type(last).__name__} is not fitted yet. Call fit first.") from error


def _choose_scores(estimator: Any, last: Any, scores: str | None) -> Gives:
    """A classifier's output: ``scores`` if given, else raw scores of boosted trees, else probabilities."""
    offered = [m for m in ("predict_proba", "decision_function") if callable(getattr(estimator, m, None))]
    if not offered:
        raise CapabilityError(
            f"{type(last).__name__} gives neither probabilities nor decision scores. Fit one that does."
        )
    boosted = isinstance(last, GradientBoostingClassifier | HistGradientBoostingClassifier) or _raw(last)
    chosen = scores or ("margin" if boosted or offered == ["decision_function"] else "probabilities")
    if chosen not in ("margin", "probabilities"):
        raise InputError(f"scores={chosen!r}; a classifier gives 'probabilities' or 'margin'.")
    return "margin" if chosen == "margin" else "probabilities"


def _score_method(estimator: Any, last: Any, gives: Gives) -> Callable[[Any], Any]:
    """The method of the estimator that returns ``gives``."""
    if gives == "margin" and _raw(last):
        return functools.partial(estimator.predict, **_raw(last))
    if gives == "margin" and getattr(last, "decision_function_shape", "") == "ovo" and len(estimator.classes_) > 2:
        raise CapabilityError(f"{type(last).__name__} scores pairs of classes. Use decision_function_shape='ovr'.")
    name = {"values": "predict", "margin": "decision_function"}.get(gives, "predict_proba")
    read: Callable[[Any], Any] | None = getattr(estimator, name, None)
    if read is None:
        raise CapabilityError(f"{type(last).__name__} has no method that gives {gives}.")
    return read


def _accepts_missing(estimator: Any) -> bool:
    """Whether missing values are accepted: by every step, or by every step up to an imputer."""
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
