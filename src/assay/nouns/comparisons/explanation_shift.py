# SPDX-License-Identifier: Apache-2.0
"""How far an explanation moved when the model changed under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.clustered import mean_interval
from assay.basics.errors import InputError
from assay.basics.stats import Interval
from assay.basics.types import Ints, PerRow
from assay.nouns.records.saveable import Saveable

ALIKE = ("feature", "sign", "direction", "signed_set")
"""Measures of likeness, 0 … 1; the others are distances."""


@dataclass(frozen=True, repr=False, eq=False)
class ExplanationShift(Saveable):
    """Two explanations of the same rows by the same method, of two models: how alike, row by row.

    ``each`` holds (row,) by measure; NaN where undefined. Likenesses of the k largest parts are 1 where nothing moved,
    distances 0. ``clusters`` (row,) numbers the rows that belong together.
    """

    ids: tuple[str, ...]
    k: int
    each: Mapping[str, PerRow]
    clusters: Ints | None = None
    level: float = 0.95

    def mean(self, measure: str) -> float:
        """Mean over the rows where the measure is defined; NaN where it is on none."""
        values = self._of(measure)
        known = ~np.isnan(values)
        return float(values[known].mean()) if known.any() else float("nan")

    def interval(self, measure: str) -> Interval:
        """Interval of that mean over other rows, whole clusters of them; the two models are the same."""
        values = self._of(measure)
        known = ~np.isnan(values)
        clusters = None if self.clusters is None else self.clusters[known]
        return mean_interval(values[known], clusters, self.level)

    def to_frame(self, backend: Any = "pandas") -> Any:
        """One line a measure: mean over rows, low, high, rows where it is defined."""
        import narwhals as nw

        intervals = {measure: self.interval(measure) for measure in self.each}
        columns = {
            "measure": list(self.each),
            "mean": [self.mean(measure) for measure in self.each],
            "low": [interval.low for interval in intervals.values()],
            "high": [interval.high for interval in intervals.values()],
            "rows": [int((~np.isnan(values)).sum()) for values in self.each.values()],
        }
        return nw.from_dict(columns, backend=backend).to_native()

    def _of(self, measure: str) -> PerRow:
        if measure not in self.each:
            raise InputError(f"measure={measure!r}; there are {', '.join(self.each)}.")
        return self.each[measure]

    def __repr__(self) -> str:
        told = []
        for measure in self.each:
            interval = self.interval(measure)
            told.append(f"  {measure} {self.mean(measure):.3g} [{interval.low:.3g}, {interval.high:.3g}]")
        return "\n".join([f"Movement of {len(self.ids)} explanations, {self.k} largest parts", *told])
