# SPDX-License-Identifier: Apache-2.0
"""Agreement of explanation methods on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Interval, bounded_mean_interval
from assay.basics.types import Floats, PerPart
from assay.nouns.inputs.features import Features
from assay.nouns.records.saveable import Saveable

BOUNDS = {"feature": 0.0, "rank": 0.0, "sign": 0.0, "signed_rank": 0.0, "spearman": -1.0}
"""The measures of agreement, each with its lower bound; the upper bound is 1."""


@dataclass(frozen=True, repr=False, eq=False)
class Agreement(Saveable):
    """Agreement of methods on the k parts with the largest magnitude, for each row.

    ``each`` has one array (row, method, method) by measure. ``share`` (row, part) is the share of the methods that have
    the part among their k largest with the more frequent sign, ``sign`` (row, part) is that sign (0 where no method has
    the part, or where both signs are equally frequent).
    """

    methods: tuple[str, ...]
    ids: tuple[str, ...]
    features: Features
    k: int
    each: Mapping[str, Floats]
    share: PerPart
    sign: PerPart
    level: float = 0.95

    def mean(self, measure: str) -> Floats:
        """Mean of the measure over the rows where it is defined, (method, method); NaN where it never is."""
        table = self._of(measure)
        known = ~np.isnan(table)
        total = np.where(known, table, 0.0).sum(axis=0)
        return np.divide(total, known.sum(axis=0), out=np.full(total.shape, np.nan), where=known.any(axis=0))

    def interval(self, measure: str, one: str, other: str) -> Interval:
        """Interval of the mean over rows: Student's, with one extra row at each bound of the measure."""
        values = self._of(measure)[:, self._index(one), self._index(other)]
        return bounded_mean_interval(values[~np.isnan(values)], BOUNDS[measure], 1.0, self.level)

    def map(self) -> Floats:
        """The signed share of methods that agree on each part, on the input's own grid (row, *shape)."""
        return self.features.map(self.share * self.sign)

    def to_frame(self, backend: Any = "pandas") -> Any:
        """One line for each measure and pair of methods: mean over rows, low, high, rows where it is defined."""
        import narwhals as nw

        lines: list[dict[str, Any]] = []
        for measure, (one, other) in ((m, pair) for m in self.each for pair in combinations(self.methods, 2)):
            i, j, interval = self._index(one), self._index(other), self.interval(measure, one, other)
            lines.append(
                {"measure": measure, "one": one, "other": other, "mean": float(self.mean(measure)[i, j])}
                | {"low": interval.low, "high": interval.high}
                | {"rows": int((~np.isnan(self.each[measure][:, i, j])).sum())}
            )
        return nw.from_dict({name: [line[name] for line in lines] for name in lines[0]}, backend=backend).to_native()

    def _of(self, measure: str) -> Floats:
        if measure not in self.each:
            raise InputError(f"measure={measure!r}; there are {', '.join(self.each)}.")
        return self.each[measure]

    def _index(self, method: str) -> int:
        if method not in self.methods:
            raise InputError(f"{method!r} is not among the methods {', '.join(self.methods)}.")
        return self.methods.index(method)

    def __repr__(self) -> str:
        pairs = np.triu_indices(len(self.methods), 1)
        means = {measure: self.mean(measure)[pairs] for measure in self.each}
        text = ", ".join(
            f"{measure} {found[np.isfinite(found)].mean():.2f}" for measure, found in means.items()
            if np.isfinite(found).any()
        )  # fmt: skip
        size = np.where(np.isfinite(means["feature"]), means["feature"], np.inf)
        least = int(np.argmin(size))
        one, other = self.methods[pairs[0][least]], self.methods[pairs[1][least]]
        return (
            f"Agreement of {len(self.methods)} methods on the top {self.k} features of {len(self.ids)} rows\n"
            f"  mean over pairs: {text}\n  least agreement: {one} and {other}, {size[least]:.2f} of the top features"
        )
