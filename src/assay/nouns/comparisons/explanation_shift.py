# SPDX-License-Identifier: Apache-2.0
"""The shift of explanations between two models."""

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

SIMILARITIES = ("feature", "sign", "direction", "signed_set")
"""Measures of similarity, 0 … 1; the other measures are distances."""


@dataclass(frozen=True, repr=False, eq=False)
class ExplanationShift(Saveable):
    """Similarity of two explanations of the same rows by the same method, for two models.

    ``each`` has one array (row,) by measure; NaN where undefined. For equal explanations, similarities of the k largest
    parts are 1 and distances 0. ``clusters`` (row,) numbers groups of dependent rows.
    """

    ids: tuple[str, ...]
    k: int
    each: Mapping[str, PerRow]
    clusters: Ints | None = None
    level: float = 0.95

    def mean(self, measure: str) -> float:
        """Mean over the rows where the measure is defined; NaN where it never is."""
        values = self._of(measure)
        known = ~np.isnan(values)
        return float(values[known].mean()) if known.any() else float("nan")

    def interval(self, measure: str) -> Interval:
        """Interval of that mean over rows, with clusters sampled as a whole; the two models are fixed."""
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
        lines = []
        for measure in self.each:
            interval = self.interval(measure)
            lines.append(f"  {measure} {self.mean(measure):.3g} [{interval.low:.3g}, {interval.high:.3g}]")
        return "\n".join([f"ExplanationShift of {len(self.ids)} explanations, top {self.k} features", *lines])
