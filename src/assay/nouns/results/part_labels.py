# SPDX-License-Identifier: Apache-2.0
"""How parts are told to a reader where each row has its own: by the words of its text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.optional import need
from assay.basics.types import PerPart
from assay.nouns.inputs.features import Features

if TYPE_CHECKING:
    from assay.nouns.results.result import Explanation

Cells = Sequence[Sequence[str]]


def worded(shown: Cells, features: Features) -> dict[str, list[str]]:
    """A column of words for a frame of rows × parts, empty where a row lacks the part; none where parts are shared."""
    return {"word": [word for row in shown for word in row]} if shown and features.per_row else {}


def leading(values: PerPart, ids: Sequence[str], shown: Cells, features: Features) -> str:
    """The three parts that matter most: by their means, or by the words of the first row where each has its own.

    >>> leading(np.array([[1.0, -3.0]]), ["7"], [["not", "bad"]], Features(np.array([[0, 1]]), ("a", "b"), True))
    'top parts of row 7: bad -3, not +1'
    """
    own = bool(shown) and features.per_row
    told = values[0] if own else values.mean(axis=0)
    order = np.argsort(-np.abs(values[:1] if own else values).mean(axis=0))[:3]
    names = shown[0] if own else features.names
    best = ", ".join(f"{names[i]} {told[i]:+.3g}" for i in order if names[i])
    return f"top parts of row {ids[0]}: {best}" if own else f"mean of the top parts: {best}"


def for_shap(explanation: Explanation) -> Any:
    """A ``shap.Explanation`` of the same numbers."""
    values, kinds = np.array(explanation.values), set(explanation.labels)
    error = None if explanation.stderr is None else np.array(explanation.stderr)
    half = None if error is None else 1.959964 * error
    return need("shap", extra="shap").Explanation(
        values=values,
        base_values=np.array(explanation.base),
        data=explanation.features.pool(np.asarray(explanation.x)) / np.maximum(explanation.features.sizes, 1),
        display_data=np.array(explanation.shown, dtype=object) if explanation.shown else None,
        feature_names=list(explanation.features.names),
        output_names=kinds.pop() if len(kinds) == 1 else None,
        lower_bounds=None if half is None else values - half,
        upper_bounds=None if half is None else values + half,
        error_std=error,
    )
