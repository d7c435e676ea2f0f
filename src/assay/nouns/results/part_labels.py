# SPDX-License-Identifier: Apache-2.0
"""Labels of features where each row has its own: the words of its text."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from assay.basics.optional import need
from assay.basics.types import PerPart
from assay.nouns.inputs.features import Features
from assay.nouns.results.global_explanation import mixed_classes

Cells = Sequence[Sequence[str]]


def word_column(texts: Cells, features: Features) -> dict[str, list[str]]:
    """A column of words, or of the cells of a table, for a frame of rows × parts; empty where a row lacks the part."""
    if not texts:
        return {}
    return {"word" if features.per_row else "cell": [text for row in texts for text in row]}


def describe_changes(changes: Cells, ids: Sequence[str], most: int = 3) -> str:
    """What an attack changed in the first rows that it changed, a line each; empty without changes."""
    told = [f"\n  row {name}: {'; '.join(row)}" for name, row in zip(ids, changes) if row]
    return "".join(told[:most]) + (f"\n  … {len(told) - most} more rows changed" if len(told) > most else "")


def describe_top(values: PerPart, ids: Sequence[str], texts: Cells, features: Features) -> str:
    """The three features that matter most: by their means, or the words of the first row where each row has its own.

    >>> describe_top(np.array([[1.0, -3.0]]), ["7"], [["not", "bad"]], Features(np.array([[0, 1]]), ("a", "b"), True))
    'top features of row 7: bad -3, not +1'
    """
    own = bool(texts) and features.per_row
    numbers = values[0] if own else values.mean(axis=0)
    order = np.argsort(-np.abs(values[:1] if own else values).mean(axis=0))[:3]
    names = texts[0] if own else features.names
    best = ", ".join(f"{names[i]} {numbers[i]:+.3g}" for i in order if names[i])
    return f"top features of row {ids[0]}: {best}" if own else f"mean of the top features: {best}"


def to_shap_explanation(explanation: Any) -> Any:
    """The ``shap.Explanation`` with the values, base values, data and errors of an ``Explanation``."""
    values, kinds = np.array(explanation.values), set(explanation.labels)
    mixed = mixed_classes(explanation.labels)
    if mixed:
        warnings.warn(mixed, UserWarning, stacklevel=3)
    error = None if explanation.stderr is None else np.array(explanation.stderr)
    half = None if error is None else 1.959964 * error
    return need("shap", extra="shap").Explanation(
        values=values,
        base_values=np.array(explanation.base),
        data=_part_data(explanation),
        display_data=np.array(explanation.part_texts, dtype=object) if explanation.part_texts else None,
        feature_names=list(explanation.features.names),
        output_names=kinds.pop() if len(kinds) == 1 else None,
        lower_bounds=None if half is None else values - half,
        upper_bounds=None if half is None else values + half,
        error_std=error,
    )


def _part_data(explanation: Any) -> Any:
    """The mean of each part's elements (row, part); ``None`` where the parts are training rows."""
    features, x = explanation.features, np.asarray(explanation.x)
    return features.pool(x) / np.maximum(features.sizes, 1) if x.shape[1:] == features.shape else None
