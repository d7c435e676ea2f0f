# SPDX-License-Identifier: Apache-2.0
"""XGBoost and LightGBM as models: raw scores by default, frames with categories as they are."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import joblib
from sklearn.base import is_classifier

from assay.model.gradient_free import as_given, as_outputs, class_names, quietly
from assay.model.model import Model
from assay.model.sklearn import RAW, predicts
from assay.nouns.rows import Rows
from assay.nouns.target import Gives
from assay.words.digest import digest
from assay.words.types import Array


def xgboost(
    estimator: Any, *, classes: Sequence[str] | None = None, preprocess: Callable[[Any], Any] | None = None
) -> Model:
    """An ``XGBClassifier`` or ``XGBRegressor``."""
    predicts(estimator, estimator, "Give a fitted XGBClassifier or XGBRegressor.")
    return _boosted(estimator, RAW["xgboost"], classes, preprocess, estimator.get_booster().feature_names)


def lightgbm(
    estimator: Any, *, classes: Sequence[str] | None = None, preprocess: Callable[[Any], Any] | None = None
) -> Model:
    """An ``LGBMClassifier`` or ``LGBMRegressor``."""
    predicts(estimator, estimator, "Give a fitted LGBMClassifier or LGBMRegressor.")
    named = getattr(estimator, "feature_names_in_", None)
    return _boosted(estimator, RAW["lightgbm"], classes, preprocess, named)


def _boosted(
    estimator: Any,
    raw: dict[str, bool],
    classes: Sequence[str] | None,
    preprocess: Callable[[Any], Any] | None,
    names: Any,
) -> Model:
    known = estimator.classes_ if is_classifier(estimator) else None
    gives: Gives = "values" if known is None else "margin"
    read = estimator.predict if known is None else functools.partial(estimator.predict, **raw)

    def forward(rows: Rows) -> Array:
        return as_outputs(quietly(read, as_given(rows, preprocess)), len(rows))

    return Model(
        forward=forward,
        name=type(estimator).__name__,
        mark=digest(str(joblib.hash(estimator)), gives, preprocess),
        gives=gives,
        classes=class_names(classes, known),
        columns=tuple(map(str, names)) if names is not None else None,
        batch=65536,
        default_target="value" if known is None else "margin",
        about={"estimator": " ".join(repr(estimator).split())[:400]},
    )
