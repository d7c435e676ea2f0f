# SPDX-License-Identifier: Apache-2.0
"""Agreement of an explanation with the known ground truth, one number per row."""

from __future__ import annotations

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import auc, spearman
from assay.basics.types import Floats, Masks, PerPart, PerRow
from assay.planted.benchmark_case import BenchmarkCase


def agreement(values: PerPart, benchmark_case: BenchmarkCase) -> PerRow:
    """The agreement (row,) in the benchmark's own measure; 1 is perfect, NaN where undefined.

    - ``auc``: probability that a feature of the cue gets a larger value than another feature; ties count half.
    - ``rank``: Spearman correlation of values and truth over features; ``rank of size``: of their absolute values.
    - ``energy``: share of the positive values inside the mask; NaN if no value is positive.
    - ``precision``: share of the k largest absolute values inside the mask of k features; ties are split evenly.
    """
    if values.shape != benchmark_case.truth.shape:
        raise InputError(f"values {values.shape} for a truth of {benchmark_case.truth.shape} (row, feature).")
    result = np.full(len(values), np.nan)
    rows = np.isfinite(values).all(axis=1)
    if benchmark_case.agreement == "rank":
        result[rows] = spearman(values[rows], benchmark_case.truth[rows]) if rows.any() else np.nan
        return result
    if benchmark_case.agreement == "rank of size":
        truth_size = np.abs(benchmark_case.truth[rows])
        result[rows] = spearman(np.abs(values[rows]), truth_size) if rows.any() else np.nan
        return result
    if benchmark_case.mask is None:
        raise InputError(f"{benchmark_case.name} has no mask; agreement {benchmark_case.agreement!r} needs one.")
    measure = {"auc": _auc, "energy": _energy, "precision": _precision}[benchmark_case.agreement]
    for row in np.flatnonzero(rows):
        result[row] = measure(values[row], benchmark_case.mask[row])
    return result


def _auc(values: Floats, inside: Masks) -> float:
    return auc(values[~inside], values[inside])


def _energy(values: Floats, inside: Masks) -> float:
    positive = np.maximum(values, 0.0)
    total = positive.sum()
    return float(positive[inside].sum() / total) if total > 0 else float("nan")


def _precision(values: Floats, inside: Masks) -> float:
    size, count = np.abs(values), int(inside.sum())
    threshold = np.partition(size, -count)[-count]
    above, tied = size > threshold, size == threshold
    tied_share = (count - above.sum()) / tied.sum()
    return float(((above & inside).sum() + tied_share * (tied & inside).sum()) / count)
