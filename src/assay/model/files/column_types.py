# SPDX-License-Identifier: Apache-2.0
"""Which columns a trained model reads as text and which as numbers, so that codes in a file are read as in training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

ColumnType = Literal["text", "number"]

NUMERIC_STEPS = (
    "StandardScaler",
    "MinMaxScaler",
    "MaxAbsScaler",
    "RobustScaler",
    "QuantileTransformer",
    "PowerTransformer",
    "PolynomialFeatures",
    "SplineTransformer",
    "KBinsDiscretizer",
    "Binarizer",
    "Normalizer",
    "PCA",
)
"""Steps of scikit-learn that accept numbers only."""

TEXT_STEPS = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")
"""Steps of scikit-learn that read one column of text."""


def column_types(model: Any) -> dict[str, ColumnType]:
    """The columns whose type in training is known, by name; empty for nets, functions and models without names.

    Boosters name their categorical columns; a Pipeline is followed to the first step that fixes a column's type: an
    encoder by the values it was fitted on, a scaler or a final estimator as numbers.
    """
    library = type(model).__module__.partition(".")[0]
    if library == "catboost":
        return _catboost(model)
    if library == "xgboost":
        return _xgboost(model)
    if library == "lightgbm":
        return _lightgbm(model)
    if library == "sklearn" and hasattr(model, "predict"):
        return _by_steps(model, _names(model))
    return {}


def _catboost(model: Any) -> dict[str, ColumnType]:
    coded = {*model.get_cat_feature_indices(), *model.get_text_feature_indices()}
    return {name: "text" if place in coded else "number" for place, name in enumerate(model.feature_names_ or ())}


def _xgboost(model: Any) -> dict[str, ColumnType]:
    booster = model if type(model).__name__ == "Booster" else model.get_booster()
    names, kinds = booster.feature_names or (), booster.feature_types or ()
    levels = _xgboost_levels(booster) if "c" in kinds else {}
    found: dict[str, ColumnType] = {}
    for name, kind in zip(names, kinds):
        if kind != "c":
            found[name] = "number"
        elif name in levels:
            found[name] = _type_of(levels[name])
    return found


def _xgboost_levels(booster: Any) -> Mapping[str, Sequence[Any]]:
    """The categories of training by column, where the booster stores them (XGBoost 3.1 and later)."""
    read = getattr(booster, "get_categories", None)
    if read is None:
        return {}
    exported = read(export_to_arrow=True).to_arrow()
    return {name: levels.to_pylist() for name, levels in exported or () if levels is not None}


def _lightgbm(model: Any) -> dict[str, ColumnType]:
    booster = model if type(model).__name__ == "Booster" else model.booster_
    names, ranges = booster.feature_name(), booster.dump_model(num_iteration=1).get("feature_infos", {})
    coded = [name for name in names if ranges.get(name, {}).get("values")]
    levels = booster.pandas_categorical or []
    if len(coded) != len(levels):  # a constant column is not listed as a category
        return {name: "number" for name in names if not levels}
    kinds = {name: _type_of(values) for name, values in zip(coded, levels)}
    return {name: kinds.get(name, "number") for name in names}


def _by_steps(step: Any, names: Sequence[str] | None) -> dict[str, ColumnType]:
    """The types of the columns ``names`` that enter a fitted step; unknown ones are left out."""
    kind = type(step).__name__
    if names is None or step is None or isinstance(step, str):
        return {}
    if kind == "Pipeline":
        return _by_first_of(step, names)
    if kind == "ColumnTransformer":
        return _by_columns(step, names)
    if kind == "FeatureUnion":
        return _merged(_by_steps(one, names) for _, one in step.transformer_list)
    levels = getattr(step, "categories_", None)
    if levels is not None and len(levels) == len(names):
        return {name: _type_of(values) for name, values in zip(names, levels)}
    if kind in TEXT_STEPS:
        return dict.fromkeys(names, "text")
    if kind.startswith("HistGradientBoosting"):
        return _hist(step, names)
    if kind in NUMERIC_STEPS or hasattr(step, "predict"):
        return dict.fromkeys(names, "number") if type(step).__module__.startswith("sklearn.") else column_types(step)
    return {}


def _by_first_of(pipeline: Any, names: Sequence[str]) -> dict[str, ColumnType]:
    """The types fixed by the first step that fixes any; imputers and selections pass the columns on."""
    known: dict[str, ColumnType] = {}
    current: Sequence[str] | None = names
    for _, step in pipeline.steps:
        if current is None:
            break
        known = {**_by_steps(step, current), **known}
        current = _names_behind(step, current)
    return known


def _names_behind(step: Any, names: Sequence[str]) -> Sequence[str] | None:
    """The columns that leave a step unchanged in kind and order; ``None`` where the step makes others."""
    kind = type(step).__name__
    if step is None or isinstance(step, str) or (kind == "FunctionTransformer" and step.func is None):
        return names
    if kind == "SimpleImputer" and not step.add_indicator and len(step.statistics_) == len(names):
        return names
    if callable(getattr(step, "get_support", None)):
        return [name for name, kept in zip(names, step.get_support()) if kept]
    return None


def _by_columns(step: Any, names: Sequence[str]) -> dict[str, ColumnType]:
    """The types of the columns that a ColumnTransformer hands to its steps."""
    parts = []
    for _, one, chosen in step.transformers_:
        places = [chosen] if isinstance(chosen, str) else list(np.atleast_1d(np.asarray(chosen, dtype=object)))
        if all(isinstance(place, str) for place in places):
            parts.append(_by_steps(one, [str(place) for place in places]))
        elif all(isinstance(place, bool | np.bool_) for place in places):
            parts.append(_by_steps(one, [name for name, is_chosen in zip(names, places) if is_chosen]))
        elif all(isinstance(place, int | np.integer) for place in places):
            parts.append(_by_steps(one, [names[int(place)] for place in places]))
    return _merged(parts)


def _hist(step: Any, names: Sequence[str]) -> dict[str, ColumnType]:
    """Histogram boosting: its categorical columns by the values it was fitted on, all others as numbers."""
    found: dict[str, ColumnType] = dict.fromkeys(names, "number")
    encoder = getattr(getattr(step, "_preprocessor", None), "named_transformers_", {}).get("encoder")
    if step.is_categorical_ is None or encoder is None:
        return found
    coded = [name for name, is_coded in zip(names, step.is_categorical_) if is_coded]
    return found | {name: _type_of(levels) for name, levels in zip(coded, encoder.categories_)}


def _merged(parts: Iterable[Mapping[str, ColumnType]]) -> dict[str, ColumnType]:
    """One type per column: text where any step reads text."""
    found: dict[str, ColumnType] = {}
    for part in parts:
        for name, kind in part.items():
            found[name] = "text" if "text" in (kind, found.get(name)) else "number"
    return found


def _type_of(levels: Iterable[Any]) -> ColumnType:
    """The type of a column by its values in training."""
    return "text" if any(isinstance(level, str) for level in levels) else "number"


def _names(model: Any) -> list[str] | None:
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else list(map(str, names))
