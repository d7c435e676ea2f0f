# SPDX-License-Identifier: Apache-2.0
"""The steps before the trees of a Pipeline: the input column behind each column that they pass on, and the columns.

A split on a column that comes from one input column is a split on that input column, whatever the step computes: a
threshold on a target code, or on the one-hot code of a level, chooses a set of levels. All columns that come from one
input column are one player of the trees' game.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Ints
from assay.model.adapters.function import predict_without_name_warning
from assay.model.forests.forest import no_forest

ONE_TO_ONE = {
    "StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "QuantileTransformer", "PowerTransformer",
    "OrdinalEncoder", "Binarizer",
}  # fmt: skip
"""Steps of scikit-learn with one output column for each input column."""

ELEMENTWISE: dict[Any, set[str]] = {
    np.clip: {"a_min", "a_max", "min", "max"},
    np.nan_to_num: {"nan", "posinf", "neginf", "copy"},
    np.round: {"decimals"},
    np.around: {"decimals"},
    np.fix: set(),
    np.real: set(),
}
"""Functions of numpy that map each number by itself, with their options; so do its ufuncs of one argument."""


def unwrap(estimator: Any) -> tuple[list[Any], Any]:
    """The steps before the estimator that predicts, and that estimator.

    Opens pipelines, the best estimator of a search, classifiers that only set a threshold, and frozen estimators.
    """
    steps: list[Any] = []
    while (inner := _inner(estimator)) is not None:
        steps += [one for _, one in estimator.steps[:-1]] if _is_pipeline(estimator) else []
        estimator = inner
    return [one for one in steps if not _passes_on(one)], estimator


def _is_pipeline(estimator: Any) -> bool:
    return type(estimator).__name__ == "Pipeline" and hasattr(estimator, "steps")


def _inner(estimator: Any) -> Any:
    """The estimator whose prediction this one returns; ``None`` where it predicts itself."""
    if _is_pipeline(estimator):
        return estimator.steps[-1][1]
    kinds = {one.__name__ for one in type(estimator).__mro__ if one.__module__.startswith("sklearn.")}
    name = next((field for kind, field in WRAPPERS.items() if kind in kinds), "")
    return getattr(estimator, name, None)


WRAPPERS = {
    "BaseSearchCV": "best_estimator_",
    "FixedThresholdClassifier": "estimator_",
    "TunedThresholdClassifierCV": "estimator_",
    "FrozenEstimator": "estimator",
}
"""Estimators of scikit-learn that return another one's prediction, and the field that it stands in."""


def transform(steps: Sequence[Any], given: Any) -> Any:
    """What the steps make of the Pipeline's input when it predicts."""
    for step in steps:
        given = predict_without_name_warning(step.transform, given)
    return given


def pipeline_columns(steps: Sequence[Any], count: int) -> Ints:
    """The input column behind each of the ``count`` columns that the steps pass on.

    Raises ``CapabilityError`` where a step may combine several columns into one.
    """
    return _in_turn(steps, np.arange(_input_count(steps, count)), count)


def source_columns(step: Any, columns: Ints, count: int | None = None) -> Ints:
    """The input column behind each output column of a fitted step; ``columns`` are those behind its input columns.

    ``count`` is the number of its output columns, where that is known. A step all of whose columns come from one input
    column may do anything. Raises ``CapabilityError`` where a step may combine several columns into one.
    """
    found = None if _passes_on(step) else _known_columns(step, columns, count)
    if _passes_on(step):
        return columns
    if found is None and count is not None and len(set(columns.tolist())) == 1:
        return np.repeat(columns[:1], count)
    if found is None:
        raise _mixed(step)
    return found


def _passes_on(step: Any) -> bool:
    """Whether a step does nothing when the Pipeline predicts: "passthrough", or a resampler of imbalanced-learn."""
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return True
    return callable(getattr(step, "fit_resample", None)) and not hasattr(step, "transform")


def _in_turn(steps: Sequence[Any], columns: Ints, count: int | None) -> Ints:
    """The columns behind the output of steps that run one after another, of ``count`` columns."""
    some = [step for step in steps if not _passes_on(step)]
    counts = [getattr(step, "n_features_in_", None) for step in some[1:]] + [count]
    for step, number in zip(some, counts):
        columns = source_columns(step, columns, number)
    return columns


def _input_count(steps: Sequence[Any], count: int) -> int:
    """The number of columns that the first step reads."""
    for step in steps:
        found = getattr(step, "n_features_in_", None)
        if found is None and hasattr(step, "feature_names_in_"):
            found = len(step.feature_names_in_)
        if found is None:
            raise no_forest("this Pipeline", f"its step {type(step).__name__} does not say how many columns it reads")
        return int(found)
    return count


def _known_columns(step: Any, columns: Ints, count: int | None) -> Ints | None:
    """The columns behind the output of a step whose kind is known; ``None`` for any other step."""
    kind, package = type(step).__name__, type(step).__module__.partition(".")[0]
    if _is_pipeline(step):
        return _in_turn([one for _, one in step.steps], columns, count)
    if package == "category_encoders":
        return _by_encoder(step, columns)
    if package != "sklearn":
        return None
    if kind == "FunctionTransformer":
        return columns if step.func is None or _is_elementwise(step.func, step.kw_args or {}) else None
    if kind == "FrozenEstimator":
        return source_columns(step.estimator, columns, count)
    if kind in ONE_TO_ONE:
        return columns
    if kind == "ColumnTransformer":
        return _by_columns(step, columns)
    if kind == "FeatureUnion":
        return _by_union(step, columns, count)
    per_column = PER_COLUMN.get(kind)
    if per_column is not None:
        return np.repeat(columns, per_column(step))
    if kind == "SimpleImputer":
        return _imputed(step, columns)
    if kind == "MissingIndicator":
        return columns[step.features_]
    return columns[step.get_support()] if callable(getattr(step, "get_support", None)) else None


def _mixed(step: Any) -> CapabilityError:
    return no_forest(
        "this Pipeline",
        f"its step {type(step).__name__} may combine several columns into one, so that a split no longer depends on "
        f"one column of the rows; apply this step to the data beforehand"
        f"{', or use a function of numpy' if type(step).__name__ == 'FunctionTransformer' else ''}",
    )


def _is_elementwise(func: Any, options: dict[str, Any]) -> bool:
    """Whether a function is known to map each number by itself."""
    if isinstance(func, functools.partial):
        return not func.args and _is_elementwise(func.func, {**func.keywords, **options})
    if isinstance(func, np.ufunc):
        return func.nin == func.nout == 1 and func.signature is None and not options
    return any(func is known and set(options) <= allowed for known, allowed in ELEMENTWISE.items())


def _by_columns(step: Any, columns: Ints) -> Ints:
    """The columns behind the concatenated output of a ColumnTransformer."""
    names = list(getattr(step, "feature_names_in_", ()))
    out = np.full(max((part.stop for part in step.output_indices_.values()), default=0), -1, dtype=np.int64)
    for name, one, chosen in step.transformers_:
        if isinstance(one, str) and one == "drop":
            continue
        place = step.output_indices_[name]
        count = place.stop - place.start
        if not count:
            continue
        found = source_columns(one, columns[_chosen(chosen, names, len(columns))], count)
        if len(found) != count:
            raise _mixed(one)
        out[place] = found
    return out


def _by_union(step: Any, columns: Ints, count: int | None) -> Ints:
    """The columns behind the concatenated output of a FeatureUnion."""
    some = [one for _, one in step.transformer_list if not (isinstance(one, str) and one == "drop")]
    parts = [source_columns(one, columns, count if len(some) == 1 else None) for one in some]
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def _chosen(chosen: Any, names: list[str], count: int) -> Ints:
    """Positions of the columns that a ColumnTransformer selects."""
    if isinstance(chosen, slice):
        ends = [names.index(end) if isinstance(end, str) else end for end in (chosen.start, chosen.stop)]
        stop = ends[1] + 1 if isinstance(chosen.stop, str) else ends[1]  # names include the last one
        return np.arange(count)[slice(ends[0], stop, chosen.step)]
    many = [chosen] if isinstance(chosen, str | int) else list(chosen)
    if many and all(isinstance(one, bool | np.bool_) for one in many):
        return np.flatnonzero(many)
    return np.array([names.index(one) if isinstance(one, str) else range(count)[one] for one in many], dtype=np.int64)


def _one_hot_codes(step: Any) -> list[int]:
    """Number of output columns of a OneHotEncoder for each input column."""
    rare = getattr(step, "infrequent_categories_", [None] * len(step.categories_))
    dropped = [None] * len(step.categories_) if step.drop_idx_ is None else step.drop_idx_
    return [
        len(levels) - (0 if few is None else len(few) - 1) - (0 if gone is None else 1)
        for levels, few, gone in zip(step.categories_, rare, dropped)
    ]


PER_COLUMN: dict[str, Callable[[Any], Any]] = {
    "OneHotEncoder": _one_hot_codes,
    "KBinsDiscretizer": lambda step: 1 if step.encode == "ordinal" else [int(bins) for bins in step.n_bins_],
    "TargetEncoder": lambda step: len(step.classes_) if step.target_type_ == "multiclass" else 1,
    "SplineTransformer": lambda step: step.n_features_out_ // step.n_features_in_,
}
"""Steps of scikit-learn with neighbouring output columns for each input column, and their number."""


def _imputed(step: Any, columns: Ints) -> Ints:
    """The imputed columns that remain, then the missing-value indicator columns."""
    empty = [isinstance(value, float) and np.isnan(value) for value in step.statistics_]
    imputed = columns if step.keep_empty_features else columns[~np.array(empty, dtype=bool)]
    return imputed if step.indicator_ is None else np.concatenate([imputed, columns[step.indicator_.features_]])


def _by_encoder(step: Any, columns: Ints) -> Ints | None:
    """The columns behind the output of an encoder of category_encoders, by their names.

    An encoder with one column for each column keeps the names; one with several lists them in ``mapping``. ``None`` for
    encoders that mix columns (hashing).
    """
    relation = getattr(getattr(step, "encoding_relation", None), "name", "")
    place = {name: position for position, name in enumerate(getattr(step, "feature_names_in_", ()))}
    if relation != "ONE_TO_ONE":
        mapping = step.mapping if isinstance(step.mapping, list) else []
        place |= {name: place[one["col"]] for one in mapping for name in getattr(one["mapping"], "columns", ())}
    names = list(step.get_feature_names_out())
    known = relation in ("ONE_TO_ONE", "ONE_TO_N_UNIQUE", "ONE_TO_M") and all(name in place for name in names)
    return columns[[place[name] for name in names]] if known else None
