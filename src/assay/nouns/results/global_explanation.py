# SPDX-License-Identifier: Apache-2.0
"""A global explanation: mean attributions over many rows, or the gap between two groups of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.nouns.records.plottable import Plottable
from assay.nouns.records.saveable import Saveable


@dataclass(frozen=True, repr=False, eq=False)
class GlobalExplanation(Saveable, Plottable):
    """One number per feature over many rows: a mean, or the gap between the means of two groups.

    ``stderr`` (part,) combines two errors: that of the rows, as a sample of their population, and that of the values
    themselves where they were sampled. The second is not divided by the number of rows, as if it were the same in all
    rows (they share their coalitions). ``low`` and ``high`` are Student's interval at ``level``; NaN with fewer than
    two rows. ``rows`` and ``others`` are the sizes of the two groups. ``classes`` are the classes explained, where the
    rows differ in them: a mean over the values of different classes mixes their signs.
    """

    names: tuple[str, ...]
    values: Floats
    stderr: Floats
    low: Floats
    high: Floats
    rows: int
    level: float
    others: int = 0
    classes: tuple[str, ...] = ()

    def order(self) -> Any:
        """Positions of the features from the highest value to the lowest, (part,)."""
        return np.argsort(-self.values, kind="stable")

    def to_frame(self, backend: Any = "pandas") -> Any:
        """A frame with one line per feature: part, value, stderr, low, high."""
        import narwhals as nw

        columns = ("values", "stderr", "low", "high")
        numbers = {name.removesuffix("s"): getattr(self, name).tolist() for name in columns}
        return nw.from_dict({"part": list(self.names)} | numbers, backend=backend).to_native()

    def __repr__(self) -> str:
        top = np.argsort(-np.abs(self.values), kind="stable")[:3]
        best = ", ".join(f"{self.names[i]} {self.values[i]:+.3g} [{self.low[i]:.3g}, {self.high[i]:.3g}]" for i in top)
        what = f"gap between {self.rows} rows and {self.others} others" if self.others else f"mean of {self.rows} rows"
        mixed = f"\n  {mixed_classes(self.classes)}" if self.classes else ""
        return f"GlobalExplanation ({what}, {len(self.names)} features): {best}{mixed}"


def mixed_classes(classes: Sequence[str]) -> str:
    """What to know where rows are explained for different classes; empty for one class."""
    kinds = sorted(set(classes))
    if len(kinds) < 2:
        return ""
    return (
        f"the rows are explained for different classes ({', '.join(kinds[:5])}{' …' if len(kinds) > 5 else ''}), whose "
        f"values have different signs; give assay.case(…, label=…) one class to compare rows"
    )


def mean_over(
    values: Floats,
    stderr: Floats | None,
    names: Sequence[str],
    members: Any,
    others: Any,
    level: float,
    labels: Sequence[str] = (),
) -> GlobalExplanation:
    """The mean of ``values`` (row, part) over ``members`` (row,), minus that over ``others`` where these are given."""
    groups = [_rows(group, len(values)) for group in (members, others) if group is not None]
    means = [values[group].mean(axis=0) for group in groups]
    spread = np.stack([_variance(values[group]) for group in groups]).sum(axis=0)
    sampling = np.zeros(values.shape[1]) if stderr is None else sum(stderr[group].mean(axis=0) for group in groups)
    error = np.sqrt(spread + sampling**2)
    middle = means[0] - means[1] if len(means) > 1 else means[0]
    half = t.ppf((1 + level) / 2, max(1, min(int(group.sum()) for group in groups) - 1)) * error
    counts = [int(group.sum()) for group in groups]
    used = np.any(groups, axis=0)
    kinds = tuple(sorted({label for label, is_used in zip(labels, used) if is_used}))
    return GlobalExplanation(
        tuple(names),
        middle,
        error,
        middle - half,
        middle + half,
        counts[0],
        level,
        sum(counts[1:]),
        kinds if len(kinds) > 1 else (),
    )


def _rows(group: Any, rows: int) -> Masks:
    mask = np.asarray(group)
    if mask.dtype != bool or mask.shape != (rows,) or not mask.any():
        raise InputError(
            f"members select rows: a boolean array ({rows},), True for at least one row of each group; got "
            f"{mask.dtype} {mask.shape} with {int(mask.sum()) if mask.dtype == bool else '?'} rows selected."
        )
    return mask


def _variance(values: Floats) -> Floats:
    """Variance (part,) of the mean over rows; NaN for a single row."""
    return values.var(axis=0, ddof=1) / len(values) if len(values) > 1 else np.full(values.shape[1], np.nan)
