# SPDX-License-Identifier: Apache-2.0
"""Correlations of rows of numbers, in float64; undefined cases give NaN."""

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.types import Floats


def spearman(a: Floats, b: Floats) -> Floats:
    """Rank correlation of each row of ``a`` with the same row of ``b``, with mean ranks for ties.

    NaN where either row is constant.
    """
    return pearson(np.asarray(scipy_stats.rankdata(a, axis=-1)), np.asarray(scipy_stats.rankdata(b, axis=-1)))


def pearson(a: Floats, b: Floats) -> Floats:
    """Linear correlation of each row of ``a`` with the same row of ``b``; NaN where either row is constant."""
    a, b = np.atleast_2d(a).astype(np.float64), np.atleast_2d(b).astype(np.float64)
    if a.shape != b.shape:
        raise InputError(f"correlation needs two arrays of one shape; got {a.shape} and {b.shape}")
    constant = (np.ptp(a, axis=-1) == 0) | (np.ptp(b, axis=-1) == 0)
    a, b = a - a.mean(axis=-1, keepdims=True), b - b.mean(axis=-1, keepdims=True)
    norm = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    ratio = np.divide((a * b).sum(axis=-1), norm, out=np.full(len(a), np.nan), where=(norm > 0) & ~constant)
    return np.clip(ratio, -1.0, 1.0)


def spearman_limits(correlation: float, rows: int, level: float = 0.95) -> tuple[float, float]:
    """Limits of a rank correlation by Fisher's transformation with the standard error of Bonett and Wright (2000).

    NaN below four rows, or without a correlation.
    """
    if rows < 4 or not np.isfinite(correlation):
        return float("nan"), float("nan")
    half = scipy_stats.norm.ppf((1 + level) / 2) * np.sqrt((1 + correlation**2 / 2) / (rows - 3))
    centre = np.arctanh(np.clip(correlation, -1 + 1e-12, 1 - 1e-12))
    return float(np.tanh(centre - half)), float(np.tanh(centre + half))
