# SPDX-License-Identifier: Apache-2.0
"""Adapters for XGBoost, LightGBM and CatBoost: raw scores by default, frames with categories unchanged."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import joblib
import narwhals as nw
import numpy as np
from sklearn.base import is_classifier

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.types import Array
from assay.model.adapters.function import class_names, predict_without_name_warning, prepare_rows, to_outputs
from assay.model.adapters.sklearn import RAW, require_fitted_predictor
from assay.model.forests import forest_reader
from assay.model.forests.catboost import content
from assay.model.model import Model
from assay.nouns.inputs.rows import Rows
from assay.nouns.inputs.target import Gives


def xgboost(
    estimator: Any, *, classes: Sequence[str] | None = None, preprocess: Callable[[Any], Any] | None = None
) -> Model:
    """An ``XGBClassifier`` or ``XGBRegressor``, or a ``Booster`` (of which a private copy is used)."""
    if type(estimator).__name__ == "Booster":
        return _xgboost_booster(estimator, classes, preprocess)
    require_fitted_predictor(estimator, estimator, "Give a fitted XGBClassifier or XGBRegressor.")
    names = estimator.get_booster().feature_names
    return _boosted(estimator, RAW["xgboost"], classes, preprocess, names, _xgboost_frame)


def lightgbm(
    estimator: Any, *, classes: Sequence[str] | None = None, preprocess: Callable[[Any], Any] | None = None
) -> Model:
    """An ``LGBMClassifier`` or ``LGBMRegressor``, or a ``Booster`` (of which a private copy is used)."""
    if type(estimator).__name__ == "Booster":
        return _lightgbm_booster(estimator, classes, preprocess)
    require_fitted_predictor(estimator, estimator, "Give a fitted LGBMClassifier or LGBMRegressor.")
    named = getattr(estimator, "feature_names_in_", None)
    levels = estimator.booster_.pandas_categorical
    return _boosted(
        estimator, RAW["lightgbm"], classes, preprocess, named, lambda given: _lightgbm_frame(given, levels)
    )


def catboost(
    estimator: Any, *, classes: Sequence[str] | None = None, preprocess: Callable[[Any], Any] | None = None
) -> Model:
    """A ``CatBoostClassifier`` or ``CatBoostRegressor``."""
    require_fitted_predictor(estimator, estimator, "Give a fitted CatBoostClassifier or CatBoostRegressor.")
    names = list(estimator.feature_names_)
    unnamed = names == [str(place) for place in range(len(names))]
    coded = set(estimator.get_cat_feature_indices())
    model = _boosted(
        estimator,
        RAW["catboost"],
        classes,
        preprocess,
        None if unnamed else names,
        lambda given: _catboost_frame(given, names, coded),
    )
    return replace(model, fingerprint=digest(content(estimator), model.gives, preprocess))


def _boosted(
    estimator: Any,
    raw: dict[str, bool],
    classes: Sequence[str] | None,
    preprocess: Callable[[Any], Any] | None,
    names: Any,
    to_frame: Callable[[Any], Any],
) -> Model:
    known = estimator.classes_ if is_classifier(estimator) else None
    gives: Gives = "values" if known is None else "margin"
    read = estimator.predict if known is None else functools.partial(estimator.predict, **raw)

    def forward(rows: Rows) -> Array:
        return to_outputs(predict_without_name_warning(read, to_frame(prepare_rows(rows, preprocess))), len(rows))

    return Model(
        forward=forward,
        name=type(estimator).__name__,
        fingerprint=digest(str(joblib.hash(estimator)), gives, preprocess),
        gives=gives,
        classes=class_names(classes, known),
        columns=tuple(map(str, names)) if names is not None else None,
        batch=65536,
        default_target="value" if known is None else "margin",
        accepts_missing=True,
        forest=forest_reader(estimator, preprocess, to_frame),
        about={"estimator": " ".join(repr(estimator).split())[:400]},
    )


def _xgboost_booster(booster: Any, classes: Sequence[str] | None, preprocess: Callable[[Any], Any] | None) -> Model:
    """A booster as the estimator of its objective: a classifier for ``binary:`` and ``multi:``, else a regressor."""
    library = need("xgboost", extra="trees")
    private = library.Booster(model_file=booster.save_raw("ubj"))
    private.set_attr(scikit_learn=None)  # an XGBRegressor may have been fitted with a classifier's objective
    learner = json.loads(private.save_config())["learner"]
    objective = str(learner["objective"]["name"])
    classifies = objective.startswith(("binary:", "multi:"))
    estimator = (library.XGBClassifier if classifies else library.XGBRegressor)(enable_categorical=True)
    content = private.save_raw("ubj")
    estimator.load_model(content)
    model = _boosted(estimator, RAW["xgboost"], classes, preprocess, private.feature_names, _xgboost_frame)
    about = {"objective": objective, "trees": f"{private.num_boosted_rounds():,} rounds"}
    return replace(model, name="Booster", fingerprint=digest(bytes(content), model.gives, preprocess), about=about)


def _lightgbm_booster(booster: Any, classes: Sequence[str] | None, preprocess: Callable[[Any], Any] | None) -> Model:
    """A booster: raw scores for the objectives ``binary``, ``multiclass`` and ``multiclassova``, else values."""
    text = booster.model_to_string()
    private = need("lightgbm", extra="trees").Booster(model_str=text)
    header = dict(line.partition("=")[::2] for line in text.partition("\n\n")[0].splitlines())
    objective = header.get("objective", "none")
    gives: Gives = "margin" if objective.startswith(("binary", "multiclass")) else "values"
    known = range(max(2, int(header["num_class"]))) if gives == "margin" else None
    names = private.feature_name()
    unnamed = names == [f"Column_{i}" for i in range(len(names))]

    def to_frame(given: Any) -> Any:
        return _lightgbm_frame(given, private.pandas_categorical)

    def forward(rows: Rows) -> Array:
        given = to_frame(prepare_rows(rows, preprocess))
        return to_outputs(private.predict(given, raw_score=gives == "margin"), len(rows))

    return Model(
        forward=forward,
        name="Booster",
        fingerprint=digest(text, gives, preprocess),
        gives=gives,
        classes=class_names(classes, known),
        columns=None if unnamed else tuple(names),
        batch=65536,
        default_target="value" if gives == "values" else "margin",
        accepts_missing=True,
        forest=forest_reader(private, preprocess, to_frame),
        about={"objective": objective, "trees": f"{private.num_trees():,}"},
    )


def _xgboost_frame(given: Any) -> Any:
    """A frame with its text columns cast to categories, which XGBoost finds by name; anything else unchanged."""
    frame = nw.from_native(given, pass_through=True, eager_only=True)
    if not isinstance(frame, nw.DataFrame) or nw.String not in frame.schema.values():
        return given
    text = [name for name, kind in frame.schema.items() if kind == nw.String]
    return frame.with_columns(nw.col(*text).cast(nw.Categorical)).to_native()


def _lightgbm_frame(given: Any, levels: Any) -> Any:
    """A frame with text or categories as a pandas frame with the categories of training; anything else unchanged.

    LightGBM reads categories from pandas only, and identifies them by their position in the list of training.
    """
    frame = nw.from_native(given, pass_through=True, eager_only=True)
    if not isinstance(frame, nw.DataFrame):
        return given
    coded = [name for name, kind in frame.schema.items() if not (kind.is_numeric() or kind == nw.Boolean)]
    if not coded:
        return given if frame.implementation.is_pandas() else frame.to_numpy()
    pandas = need("pandas", extra="trees")
    if levels is None or len(levels) != len(coded):
        raise InputError(
            f"columns {coded[:5]} hold text or categories; the model was trained on {len(levels or ())} such columns. "
            f"Give a pandas frame with the column types of training."
        )
    columns = {name: frame[name].to_list() for name in frame.columns}
    columns |= {name: pandas.Categorical(columns[name], categories=kinds) for name, kinds in zip(coded, levels)}
    return pandas.DataFrame(columns)


def _catboost_frame(given: Any, names: list[str], coded: set[int]) -> Any:
    """Rows as a pandas frame with the names of training; categories are text or whole numbers.

    CatBoost 1.2 reads frames of other kinds wrongly or not at all, and refuses categories given as 2.0.
    """
    frame = nw.from_native(given, pass_through=True, eager_only=True)
    is_frame = isinstance(frame, nw.DataFrame)
    if not is_frame and not coded:
        return given
    pandas = need("pandas", extra="trees")
    columns = [frame[name] for name in frame.columns] if is_frame else list(np.asarray(given).T)
    if len(columns) != len(names):
        raise InputError(f"{len(columns)} columns for a model of {len(names)}: {names[:8]}.")
    converted = {
        name: _category_column(name, list(column.to_list() if is_frame else column.tolist()))
        if place in coded
        else np.asarray(column)
        for place, (name, column) in enumerate(zip(names, columns))
    }
    return pandas.DataFrame(converted)


def _category_column(name: str, values: list[Any]) -> list[Any]:
    """Categories in the form that CatBoost accepts; raises ``InputError`` for numbers that are not whole."""
    broken = [value for value in values if isinstance(value, float) and not value.is_integer()]
    if broken:
        raise InputError(
            f"column {name!r} holds categories; {broken[:5]} are not whole numbers. Give text or whole numbers."
        )
    return [int(value) if isinstance(value, float) else value for value in values]
