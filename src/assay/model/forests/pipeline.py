# SPDX-License-Identifier: Apache-2.0
"""The input column behind each column that a Pipeline passes to its last step."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Ints
from assay.model.forests.forest import no_forest

ONE_TO_ONE = {
    "StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "QuantileTransformer", "PowerTransformer",
    "OrdinalEncoder", "Binarizer",
}  # fmt: skip
"""Steps with one output column per input column."""


def source_columns(step: Any, columns: Ints) -> Ints:
    """The row's column behind each output column of a fitted step; ``columns`` are those behind its input columns.

    Raises ``CapabilityError`` where a step combines several columns into one.
    """
    kind = type(step).__name__
    if step is None or isinstance(step, str) or (kind == "FunctionTransformer" and step.func is None):
        return columns  # "passthrough"
    if not type(step).__module__.startswith("sklearn."):
        raise _mixed(step)
    if kind == "Pipeline":
        for _, one in step.steps:
            columns = source_columns(one, columns)
        return columns
    if kind in ONE_TO_ONE:
        return columns
    if kind == "ColumnTransformer":
        return _by_columns(step, columns)
    if kind == "OneHotEncoder":
        return np.repeat(columns, _codes(step))
    if kind == "SimpleImputer":
        return _imputed(step, columns)
    if callable(getattr(step, "get_support", None)):
        return columns[step.get_support()]
    raise _mixed(step)


def _mixed(step: Any) -> CapabilityError:
    return no_forest(
        "this Pipeline",
        f"its step {type(step).__name__} may combine several columns into one, so that a split no longer depends on "
        f"one column of the rows; apply this step to the data beforehand",
    )


def _by_columns(step: Any, columns: Ints) -> Ints:
    """The columns behind the concatenated output of a ColumnTransformer."""
    names = list(getattr(step, "feature_names_in_", ()))
    out = np.full(max((part.stop for part in step.output_indices_.values()), default=0), -1, dtype=np.int64)
    for name, one, chosen in step.transformers_:
        if isinstance(one, str) and one == "drop":
            continue
        place = step.output_indices_[name]
        if place.start != place.stop:
            out[place] = source_columns(one, columns[_chosen(chosen, names, len(columns))])
    return out


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


def _codes(step: Any) -> list[int]:
    """Number of output columns of a OneHotEncoder for each input column."""
    rare = getattr(step, "infrequent_categories_", [None] * len(step.categories_))
    dropped = [None] * len(step.categories_) if step.drop_idx_ is None else step.drop_idx_
    return [
        len(levels) - (0 if few is None else len(few) - 1) - (0 if gone is None else 1)
        for levels, few, gone in zip(step.categories_, rare, dropped)
    ]


def _imputed(step: Any, columns: Ints) -> Ints:
    """The imputed columns that remain, then the missing-value indicator columns."""
    empty = [isinstance(value, float) and np.isnan(value) for value in step.statistics_]
    imputed = columns if step.keep_empty_features else columns[~np.array(empty, dtype=bool)]
    return imputed if step.indicator_ is None else np.concatenate([imputed, columns[step.indicator_.features_]])
