# SPDX-License-Identifier: Apache-2.0
"""Adapters for XGBoost, LightGBM and CatBoost: raw scores by default, frames with categories unchanged."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.types import Array
from assay.model.adapters.booster_outputs import LINKS, booster_outputs, lightgbm_objective, lightgbm_scale
from assay.model.adapters.estimator_outputs import EstimatorForward
from assay.model.adapters.function import class_names, predict_without_name_warning, prepare_rows, to_outputs
from assay.model.adapters.sklearn import require_fitted_predictor
from assay.model.forests import forest_reader
from assay.model.model import Model
from assay.model.state_fingerprint import read_state, state_fingerprint
from assay.nouns.inputs.native_columns import is_numeric
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.rows import Rows


def xgboost(
    estimator: Any,
    *,
    classes: Sequence[str] | None = None,
    preprocess: Callable[[Any], Any] | None = None,
    output: str | None = None,
) -> Model:
    """An ``XGBClassifier``, ``XGBRegressor`` or ``XGBRanker``, or a ``Booster`` (of which a private copy is used).

    As the library's own ``predict`` of that object does it, an estimator that stopped early uses the rounds up to the
    best one, a ``Booster`` all of them.
    """
    if type(estimator).__name__ == "Booster":
        return _xgboost_booster(estimator, classes, preprocess, output)
    require_fitted_predictor(estimator, estimator, "Give a fitted XGBClassifier, XGBRegressor or XGBRanker.")
    booster = estimator.get_booster()
    return _boosted(estimator, output, classes, preprocess, booster.feature_names, _xgboost_reader(booster))


def lightgbm(
    estimator: Any,
    *,
    classes: Sequence[str] | None = None,
    preprocess: Callable[[Any], Any] | None = None,
    output: str | None = None,
) -> Model:
    """An ``LGBMClassifier``, ``LGBMRegressor``, ``LGBMRanker``, or a ``Booster`` (of which a private copy is used)."""
    if type(estimator).__name__ == "Booster":
        return _lightgbm_booster(estimator, classes, preprocess, output)
    require_fitted_predictor(estimator, estimator, "Give a fitted LGBMClassifier, LGBMRegressor or LGBMRanker.")
    named = getattr(estimator, "feature_names_in_", None)
    levels = estimator.booster_.pandas_categorical
    return _boosted(estimator, output, classes, preprocess, named, lambda given: _lightgbm_frame(given, levels))


def catboost(
    estimator: Any,
    *,
    classes: Sequence[str] | None = None,
    preprocess: Callable[[Any], Any] | None = None,
    output: str | None = None,
) -> Model:
    """A ``CatBoostClassifier``, ``CatBoostRegressor``, ``CatBoostRanker`` or ``CatBoost``, by its loss function.

    A probability threshold of the estimator (``set_probability_threshold``) decides, as in its ``predict``.
    """
    require_fitted_predictor(estimator, estimator, "Give a fitted CatBoost estimator.")
    names = list(estimator.feature_names_)
    unnamed = names == [str(place) for place in range(len(names))]
    coded = set(estimator.get_cat_feature_indices())
    texts = set(estimator.get_text_feature_indices())
    return _boosted(
        estimator,
        output,
        classes,
        preprocess,
        None if unnamed else names,
        lambda given: _catboost_frame(given, names, coded, texts),
    )


def _boosted(
    estimator: Any,
    output: str | None,
    classes: Sequence[str] | None,
    preprocess: Callable[[Any], Any] | None,
    names: Any,
    to_frame: Callable[[Any], Any],
) -> Model:
    outputs = booster_outputs(estimator, estimator, output, classes)
    state = read_state(estimator, preprocess)
    return Model(
        forward=EstimatorForward(outputs, lambda rows: to_frame(prepare_rows(rows, preprocess))),
        name=type(estimator).__name__,
        fingerprint=digest(state.digest, outputs.kind.key),
        partial_fingerprint=bool(state.unread),
        gives=outputs.kind,
        classes=outputs.classes,
        output_names=outputs.names,
        columns=tuple(map(str, names)) if names is not None else None,
        batch=65536,
        default_target=outputs.target,
        accepts_missing=True,
        forest=forest_reader(estimator, preprocess, to_frame),
        about={
            "estimator": " ".join(repr(estimator).split())[:400],
            **({"explained score": outputs.score} if outputs.score else {}),
        },
    )


def _xgboost_booster(
    booster: Any, classes: Sequence[str] | None, preprocess: Callable[[Any], Any] | None, output: str | None
) -> Model:
    """A booster as the estimator of its objective: a classifier for ``binary:`` and ``multi:``, else a regressor."""
    library = need("xgboost", extra="trees")
    private = library.Booster(model_file=booster.save_raw("ubj"))
    # an XGBRegressor may have been fitted with a classifier's objective; Booster.predict uses all rounds
    private.set_attr(scikit_learn=None, best_iteration=None, best_score=None)
    learner = json.loads(private.save_config())["learner"]
    objective = str(learner["objective"]["name"])
    classifies = objective.startswith(("binary:", "multi:"))
    estimator = (library.XGBClassifier if classifies else library.XGBRegressor)(enable_categorical=True)
    content = private.save_raw("ubj")
    estimator.load_model(content)
    reader = _xgboost_reader(private)
    model = _boosted(estimator, output, classes, preprocess, private.feature_names, reader)
    about = {"objective": objective, "trees": f"{private.num_boosted_rounds():,} rounds"}
    fingerprint = digest(bytes(content), model.kind.key, state_fingerprint(preprocess))
    return replace(model, name="Booster", fingerprint=fingerprint, about=about)


def _lightgbm_booster(
    booster: Any, classes: Sequence[str] | None, preprocess: Callable[[Any], Any] | None, output: str | None
) -> Model:
    """A booster: raw scores for the objectives ``binary``, ``multiclass`` and ``multiclassova``, else values."""
    text = booster.model_to_string()
    private = need("lightgbm", extra="trees").Booster(model_str=text)
    objective = lightgbm_objective(private)
    classifies = objective.startswith(("binary", "multiclass"))
    if output not in (None, "margin", "probabilities" if classifies else "values"):
        raise InputError(
            f"output={output!r}; this booster gives 'margin' or {'probabilities' if classifies else 'values'}."
        )
    raw = output == "margin" or (classifies and output is None)
    if classifies:
        kind = OutputKind(
            "margin" if raw else "probabilities",
            link="sigmoid" if objective.startswith("multiclassova") else "softmax",
            scale=lightgbm_scale(private) if raw else 1.0,
        )
    else:
        link = LINKS.get(objective.partition(" ")[0], "identity")
        kind = OutputKind("values", link=link, scale=lightgbm_scale(private) if link != "identity" else 1.0)
    known = range(max(2, private.num_model_per_iteration())) if classifies else None
    names = private.feature_name()
    unnamed = names == [f"Column_{i}" for i in range(len(names))]

    def to_frame(given: Any) -> Any:
        return _lightgbm_frame(given, private.pandas_categorical)

    def forward(rows: Rows) -> Array:
        given = to_frame(prepare_rows(rows, preprocess))
        predict = functools.partial(private.predict, raw_score=raw)
        return to_outputs(predict_without_name_warning(predict, given), len(rows))

    return Model(
        forward=forward,
        name="Booster",
        fingerprint=digest(state_fingerprint(private, preprocess), kind.key),
        gives=kind,
        classes=class_names(classes, known),
        columns=None if unnamed else tuple(names),
        batch=65536,
        default_target={"values": "value", "margin": "margin"}.get(kind, "probability"),
        accepts_missing=True,
        forest=forest_reader(private, preprocess, to_frame),
        about={"objective": objective, "trees": f"{private.num_trees():,}"},
    )


def _xgboost_reader(booster: Any) -> Callable[[Any], Any]:
    """The function that prepares a frame for this booster; the categories of training are read when one has some."""
    from assay.model.forests.xgboost import training_categories

    @functools.cache
    def known() -> list[list[Any]]:
        return training_categories(booster)

    return lambda given: _xgboost_frame(given, known)


def _xgboost_frame(given: Any, known: Callable[[], list[list[Any]]]) -> Any:
    """A frame with its text columns cast to categories, which XGBoost finds by name; anything else unchanged.

    XGBoost refuses a column whose type has a category that training lacks, though no row has it, and one without any
    category, though all rows are missing.
    """
    frame = nw.from_native(given, pass_through=True, eager_only=True)
    if not isinstance(frame, nw.DataFrame):
        return given
    kinds = (nw.String, nw.Categorical, nw.Enum)
    coded = [name for name, kind in frame.schema.items() if isinstance(kind, kinds)]
    if not coded:
        return given
    if frame.implementation.is_pyarrow():
        frame = nw.from_native(frame.to_pandas(), eager_only=True)
    lists = dict(zip(frame.columns, known()))
    return frame.with_columns(*(_with_known_categories(frame[name], lists.get(name, [])) for name in coded)).to_native()


def _with_known_categories(column: nw.Series[Any], known: list[Any]) -> nw.Series[Any]:
    """The column as categories of training and of its rows; unchanged where training's are unknown."""
    if not known:
        return column.cast(nw.Categorical) if isinstance(column.dtype, nw.String) else column
    used = [value for value in column.unique().to_list() if not _is_missing(value)]
    if not column.implementation.is_pandas():
        text = list(dict.fromkeys([*map(str, known), *used]))
        return column.cast(nw.String).cast(nw.Enum(text))
    native = column.cast(nw.Categorical).to_native() if isinstance(column.dtype, nw.String) else column.to_native()
    own = native.cat.categories
    needed = [level for level in own if level in known or level in used]
    return nw.from_native(native.cat.set_categories(needed or known), series_only=True)


def _lightgbm_frame(given: Any, levels: Any) -> Any:
    """A frame with text or categories as a pandas frame with the categories of training; anything else unchanged.

    LightGBM reads categories from pandas only, and identifies them by their position in the list of training.
    """
    frame = nw.from_native(given, pass_through=True, eager_only=True)
    if not isinstance(frame, nw.DataFrame):
        return given
    coded = [one.name for one in frame.iter_columns() if not (is_numeric(one) or one.dtype == nw.Boolean)]
    if not coded:
        return given if frame.implementation.is_pandas() else frame.select(nw.all().cast(nw.Float64)).to_numpy()
    pandas = need("pandas", extra="trees")
    if levels is None or len(levels) != len(coded):
        raise InputError(
            f"columns {coded[:5]} hold text or categories; the model was trained on {len(levels or ())} such columns. "
            f"Give a pandas frame with the column types of training."
        )
    if frame.implementation.is_pandas():
        columns = {name: frame[name].to_native() for name in frame.columns}
    else:
        columns = {name: frame[name].cast(nw.Float64).to_numpy() for name in frame.columns if name not in coded}
    for name, kinds in zip(coded, levels):
        columns[name] = pandas.Categorical(frame[name].to_list(), categories=kinds)
    return pandas.DataFrame({name: columns[name] for name in frame.columns})


def _catboost_frame(given: Any, names: list[str], coded: set[int], texts: set[int]) -> Any:
    """Rows as a pandas frame with the names of training; categories and texts are text or whole numbers.

    CatBoost 1.2 reads frames of other kinds wrongly or not at all, and refuses categories given as 2.0, NaN or None: a
    missing category is the text "nan", as in CatBoost's own reading of files.
    """
    frame = nw.from_native(given, pass_through=True, eager_only=True)
    is_frame = isinstance(frame, nw.DataFrame)
    if not is_frame and not coded | texts:
        return given
    pandas = need("pandas", extra="trees")
    further = (
        is_frame and len(frame.columns) > len(names) and set(names) <= set(frame.columns)
    )  # which CatBoost ignores
    columns = [frame[name] for name in (names if further else frame.columns)] if is_frame else list(np.asarray(given).T)
    if len(columns) != len(names):
        raise InputError(f"{len(columns)} columns for a model of {len(names)}: {names[:8]}.")
    converted: dict[str, Any] = {}
    for place, (name, column) in enumerate(zip(names, columns)):
        if place in coded | texts:
            converted[name] = _category_column(name, list(column.to_list() if is_frame else column.tolist()))
        else:
            converted[name] = np.asarray(column.cast(nw.Float64).fill_null(np.nan) if is_frame else column)
    return pandas.DataFrame(converted)


def _category_column(name: str, values: list[Any]) -> list[Any]:
    """Categories in the form that CatBoost accepts; raises ``InputError`` for numbers that are not whole."""
    known = ["nan" if _is_missing(value) else value for value in values]
    broken = [value for value in known if isinstance(value, float) and not value.is_integer()]
    if broken:
        raise InputError(
            f"column {name!r} holds categories; {broken[:5]} are not whole numbers. Give text or whole numbers."
        )
    return [int(value) if isinstance(value, float) else value for value in known]


def _is_missing(value: Any) -> bool:
    """Whether a cell is None, NaN, NA or NaT."""
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )
