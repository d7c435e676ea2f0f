# SPDX-License-Identifier: Apache-2.0
"""Wrongly predicted rows: what speaks for the class predicted beside what speaks for the true one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, PerPart, PerRow
from assay.nouns.inputs.features import Features
from assay.nouns.records.saveable import Saveable

MEASURES = ("overlap", "flip", "correction", "typical", "typical_of_truth")


@dataclass(frozen=True, repr=False, eq=False)
class WrongClasses(Saveable):
    """Explanations of the predicted and of the true class on the wrongly predicted rows, and how they relate.

    ``predicted`` and ``true`` (wrong, part) are the values of both; ``places`` (wrong,) says where these rows stand
    among the ``rows`` explained. ``each`` holds (wrong,) by measure:

    ``overlap``: share of the ``k`` highest parts of the one that are among those of the other, 0 … 1; two orders at
    random share k/n. Near 1 the same evidence speaks for both classes, and the explanation does not tell why the model
    chose the wrong one. ``flip``: share of the parts that must go, highest for the predicted class first, until it is
    not predicted any more; ``correction``: until the true class is. Both ∞ where that does not happen. ``typical``:
    mean cosine, −1 … 1, with the explanations of the rightly predicted rows of the predicted class, and
    ``typical_of_truth`` with those of the true class; NaN where there are none, or the row's is 0 everywhere. High, the
    mistake was made for the reasons that usually are right ones; low, for others.
    """

    ids: tuple[str, ...]
    places: Ints
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
        raise AttributeError(f"wrong classes are measured by {', '.join(each)}, not {name!r}")

    @property
    def chance(self) -> Floats:
        """The overlap (wrong,) of two orders at random: k over the parts a row has, at most 1."""
        held = np.broadcast_to(self.features.sizes > 0, self.predicted.shape).sum(axis=1)
        return np.minimum(self.k / np.maximum(held, 1), 1.0)

    def maps(self, row: str) -> tuple[Floats, Floats]:
        """One row's values for the predicted and for the true class, each on the input's own grid (*shape)."""
        if row not in self.ids:
            raise InputError(f"row {row!r} is not among the {len(self.ids)} wrongly predicted rows.")
        place = self.ids.index(row)
        return self.features.map(self.predicted)[place], self.features.map(self.true)[place]

    def to_frame(self, backend: Any = "pandas") -> Any:
        """One line a wrongly predicted row: both classes and all measures."""
        import narwhals as nw

        told = {"row": list(self.ids), "predicted": list(self.predicted_classes), "true": list(self.true_classes)}
        held: dict[str, Any] = {name: values.tolist() for name, values in self.each.items()}
        return nw.from_dict(told | held, backend=backend).to_native()

    def __repr__(self) -> str:
        lines = [f"WrongClasses by {self.method}: {len(self.ids)} of {self.rows} rows wrongly predicted"]
        if not self.ids:
            return lines[0]
        chance = float(self.chance.mean())
        overlap = float(np.nanmean(self.overlap)) if np.isfinite(self.overlap).any() else float("nan")
        lines.append(f"  top {self.k} parts shared with the true class: {overlap:.0%} (at random {chance:.0%})")
        for name, told in (("flip", "leaves the predicted class"), ("correction", "becomes right")):
            values = self.each[name]
            median = float(np.median(values[~np.isnan(values)])) if (~np.isnan(values)).any() else float("nan")
            lines.append(f"  {told} when {median:.0%} of the parts are gone (median)" if np.isfinite(median)
                         else f"  {told} on fewer than half of the rows, whatever is gone")  # fmt: skip
        for name, told in (("typical", "predicted"), ("typical_of_truth", "true")):
            known = self.each[name][np.isfinite(self.each[name])]
            if len(known):
                lines.append(f"  mean cosine with right rows of the {told} class: {known.mean():.2f}")
        return "\n".join(lines)
