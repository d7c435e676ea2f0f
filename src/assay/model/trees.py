# SPDX-License-Identifier: Apache-2.0
"""XGBoost and LightGBM as models: raw scores by default, frames with categories as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import joblib
import numpy as np

from assay.model.gradient_free import as_outputs
from assay.model.model import Model
from assay.nouns.rows import Rows
from assay.nouns.target import Gives
from assay.words.types import Array


def xgboost(estimator: Any, *, classes: Sequence[str] | None = None, preprocess: Callable[[Any], Any] | None = None) -> Model:
    """An ``XGBClassifier`` or ``XGBRegressor``."""
    names = estimator.get_booster().feature_names
    return _boosted(estimator, lambda x: estimator.predict(x, output_margin=True), classes, preprocess, names)


def lightgbm(estimator: Any, *, classes: Sequence[str] | None = None, preprocess: Callable[[Any], Any] | None = None) -> Model:
    """An ``LGBMClassifier`` or ``LGBMRegressor``."""
    named = getattr(estimator, "feature_names_in_", None)
    return _boosted(estimator, lambda x: estimator.predict(x, raw_score=True), classes, preprocess, named)


def _boosted(
    estimator: Any, raw: Callable[[Any], Any], classes: Sequence[str] | None, preprocess: Callable[[Any], Any] | None, names: Any
) -> Model:
    known = getattr(estimator, "classes_", None)
    gives: Gives = "values" if known is None else "margin"

    def forward(rows: Rows) -> Array:
        given = rows.x if rows.table is None else rows.table.decode(rows.x)
        return as_outputs(np.asarray(raw(given if preprocess is None else preprocess(given)), dtype=np.float64), len(rows))

    return Model(
        forward=forward,
        name=type(estimator).__name__,
        mark=str(joblib.hash(estimator)),
        gives=gives,
        classes=tuple(classes) if classes is not None else tuple(map(str, known)) if known is not None else (),
        columns=tuple(map(str, names)) if names is not None else None,
        batch=65536,
        default_target="value" if known is None else "margin",
        about={"estimator": " ".join(repr(estimator).split())[:400]},
    )
