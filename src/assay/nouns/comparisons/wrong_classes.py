# SPDX-License-Identifier: Apache-2.0
"""Explanations of misclassified rows, for the predicted class and for the true class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, PerPart, PerRow
from assay.nouns.inputs.features import Features
from assay.nouns.records.saveable import Saveable

MEASURES = ("overlap", "flip", "correction", "cosine_predicted", "cosine_true")


@dataclass(frozen=True, repr=False, eq=False)
class WrongClasses(Saveable):
    """Explanations of the predicted and of the true class on misclassified rows, and measures of their relation.

    ``predicted`` and ``true`` (misclassified row, part) are the values for either class; ``row_indices`` (misclassified
    row,) are the indices of these rows among all ``rows``. ``each`` has one array (misclassified row,) by measure:

    - ``overlap``: share of the ``k`` highest parts that both explanations have, 0 … 1; k/n for two random orders. Near
      1 the same features support both classes, so the explanation does not show why the model is wrong.
    - ``flip``: share of the parts that are removed, highest for the predicted class first, until the predicted class
      changes; ``correction``: until the true class is predicted. Both ∞ where that does not happen.
    - ``cosine_predicted``: mean cosine similarity, −1 … 1, to the explanations of the correctly classified rows of the
      predicted class; ``cosine_true``: to those of the true class. NaN where there are none, or all values are 0. A
      high value means that the explanation is like that of correct predictions of the class.
    """

    ids: tuple[str, ...]
    row_indices: Ints
    rows: int
    method: str
    predicted_classes: tuple[str, ...]
    true_classes: tuple[str, ...]
    predicted: PerPart
    true: PerPart
    features: Features
    k: int
    each: Mapping[str, PerRow]

    def __getattr__(self, name: str) -> PerRow:
        each: Mapping[str, PerRow] = self.__dict__.get("each", {})
        if name in each:
            return each[name]
        raise AttributeError(f"WrongClasses has no measure {name!r}; there are {', '.join(each)}")

    @property
    def chance(self) -> Floats:
        """The expected overlap (misclassified row,) of two random orders: k / number of parts of the row, at most 1."""
        count = np.broadcast_to(self.features.sizes > 0, self.predicted.shape).sum(axis=1)
        return np.minimum(self.k / np.maximum(count, 1), 1.0)

    def maps(self, row: str) -> tuple[Floats, Floats]:
        """One row's values for the predicted and for the true class, each on the input's own grid (*shape)."""
        if row not in self.ids:
            raise InputError(f"row {row!r} is not among the {len(self.ids)} misclassified rows.")
        index = self.ids.index(row)
        return self.features.map(self.predicted)[index], self.features.map(self.true)[index]

    def to_frame(self, backend: Any = "pandas") -> Any:
        """One line a misclassified row: both classes and all measures."""
        import narwhals as nw

        classes = {"row": list(self.ids), "predicted": list(self.predicted_classes), "true": list(self.true_classes)}
        measures: dict[str, Any] = {name: values.tolist() for name, values in self.each.items()}
        return nw.from_dict(classes | measures, backend=backend).to_native()

    def __repr__(self) -> str:
        lines = [f"WrongClasses by {self.method}: {len(self.ids)} of {self.rows} rows misclassified"]
        if not self.ids:
            return lines[0]
        chance = float(self.chance.mean())
        overlap = float(np.nanmean(self.overlap)) if np.isfinite(self.overlap).any() else float("nan")
        lines.append(f"  top {self.k} features shared by both classes: {overlap:.0%} (by chance {chance:.0%})")
        for name, event in (("flip", "predicted class changes"), ("correction", "true class is predicted")):
            values = self.each[name]
            median = float(np.median(values[~np.isnan(values)])) if (~np.isnan(values)).any() else float("nan")
            lines.append(f"  {event} after removal of {median:.0%} of the features (median)" if np.isfinite(median)
                         else f"  {event} on fewer than half of the rows, whatever is removed")  # fmt: skip
        for name, which in (("cosine_predicted", "predicted"), ("cosine_true", "true")):
            known = self.each[name][np.isfinite(self.each[name])]
            if len(known):
                lines.append(f"  mean cosine to correct rows of the {which} class: {known.mean():.2f}")
        return "\n".join(lines)
