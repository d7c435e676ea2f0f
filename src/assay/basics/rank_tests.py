# SPDX-License-Identifier: Apache-2.0
"""Rankings of several methods on the same rows: tests of differences, indistinguishable groups, rank stability."""

from __future__ import annotations

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.clustered import resample_means
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints


def ranks_in_rows(values: Floats) -> Floats:
    """Rank of each method on each row, ``values`` (row, method): 1 is the highest, ties get their mean rank."""
    return np.asarray(scipy_stats.rankdata(-np.asarray(values), axis=1), dtype=np.float64)


def friedman(ranks: Floats) -> tuple[float, float]:
    """Friedman's χ² and its p-value from ranks (row, method), corrected for ties (Friedman 1937).

    NaN with fewer than two rows or three methods, and where every row ties all methods.
    """
    rows, methods = ranks.shape
    spread = np.sum((ranks - (methods + 1) / 2) ** 2) / (methods - 1) if methods > 1 else 0.0
    if rows < 2 or methods < 3 or spread == 0:
        return float("nan"), float("nan")
    between = np.sum((ranks.sum(axis=0) - rows * (methods + 1) / 2) ** 2)
    chi2 = float(between / spread)
    return chi2, float(scipy_stats.chi2.sf(chi2, methods - 1))


def kendalls_w(ranks: Floats) -> float:
    """Kendall's W from ranks (row, method), corrected for ties: 0 = random ranks, 1 = the same ranks in every row."""
    rows, methods = ranks.shape
    spread = np.sum((ranks - (methods + 1) / 2) ** 2)
    if rows < 2 or methods < 2 or spread == 0:
        return float("nan")
    return float(np.sum((ranks.sum(axis=0) - rows * (methods + 1) / 2) ** 2) / (rows * spread))


def critical_difference(methods: int, rows: int, level: float = 0.95) -> float:
    """Nemenyi's critical difference: smallest significant difference of two mean ranks (Nemenyi 1963; Demšar 2006).

    q · √(k(k + 1) / 12n), with q the quantile of the studentised range of k methods and infinite degrees of freedom.
    """
    if methods < 2 or rows < 1:
        raise InputError(f"a critical difference needs two methods and a row; got {methods} and {rows}.")
    quantile = float(scipy_stats.studentized_range.ppf(level, methods, np.inf))
    return quantile * float(np.sqrt(methods * (methods + 1) / (12 * rows)))


def indistinguishable_groups(average: Floats, difference: float) -> tuple[tuple[int, ...], ...]:
    """Maximal groups of methods whose mean ranks differ by at most ``difference``: the bars of a CD diagram."""
    order = np.argsort(average, kind="stable")
    reach = [int(np.searchsorted(average[order], average[i] + difference, side="right")) for i in order]
    groups = [
        tuple(int(i) for i in order[start:end])
        for start, end in enumerate(reach)
        if end - start > 1 and (start == 0 or reach[start - 1] < end)
    ]
    return tuple(groups)


def rank_probabilities(values: Floats, clusters: Ints, draws: int, seed: Seed) -> Floats:
    """Bootstrap probability of each rank of each method, (method, rank), by means over resampled rows or clusters.

    Tied methods share the ranks they tie for, so that rows and columns sum to 1. ``values`` (row, method), higher
    better, no NaN.
    """
    means = resample_means(values, clusters, draws, seed)
    methods = means.shape[1]
    above = (means[:, None, :] > means[:, :, None]).sum(axis=2)
    equal = (means[:, None, :] == means[:, :, None]).sum(axis=2)
    place = np.arange(methods)
    has_rank = (place >= above[..., None]) & (place < (above + equal)[..., None])
    return np.asarray((has_rank / equal[..., None]).mean(axis=0), dtype=np.float64)


def kendall(one: Floats, other: Floats) -> float:
    """Kendall's τ-b of two rankings (method,), ties corrected (Kendall 1945); NaN if one ties all methods or has NaN.

    (concordant − discordant pairs) / √((pairs not tied in one)(pairs not tied in the other)).
    """
    one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if one.shape != other.shape or one.ndim != 1:
        raise InputError(f"τ compares two rankings of the same methods; got shapes {one.shape} and {other.shape}.")
    if np.isnan(one).any() or np.isnan(other).any():
        return float("nan")
    pairs = np.triu_indices(len(one), 1)
    left, right = (np.sign(values[:, None] - values[None, :])[pairs] for values in (one, other))
    size = np.sqrt(np.count_nonzero(left) * np.count_nonzero(right))
    return float(np.sum(left * right) / size) if size > 0 else float("nan")


def kemeny_distance(one: Floats, other: Floats) -> float:
    """Normalised Kemeny distance: share of method pairs that two rankings (method,) order differently, 0 … 1.

    A tie in one ranking counts half; without ties the distance is (1 − τ)/2. NaN below two methods, or with NaN.
    """
    one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if np.isnan(one).any() or np.isnan(other).any() or len(one) < 2:
        return float("nan")
    pairs = np.triu_indices(len(one), 1)
    left, right = (np.sign(values[:, None] - values[None, :])[pairs] for values in (one, other))
    return float(np.abs(left - right).mean() / 2)
