# SPDX-License-Identifier: Apache-2.0
"""Means and intervals for clustered rows: frames of a film, scans of a patient, sentences of a text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import Interval, skewness_corrected_interval
from assay.basics.types import Floats, Ints


def number_clusters(clusters: Any, rows: int) -> Ints:
    """Cluster index of each row (row,), from 0; each row is its own cluster if ``clusters`` is ``None``."""
    if clusters is None:
        return np.arange(rows, dtype=np.int64)
    labels = np.asarray(clusters)
    if labels.shape != (rows,):
        raise InputError(f"clusters holds the cluster of each row, ({rows},); got shape {labels.shape}.")
    return np.asarray(np.unique(labels, return_inverse=True)[1], dtype=np.int64)


def sum_clusters(values: Floats, clusters: Ints) -> tuple[Floats, Floats]:
    """Sums and counts (cluster, *) of the values (row, *) in each cluster; NaN values are ignored in both."""
    shape = (int(clusters.max(initial=-1)) + 1, *values.shape[1:])
    sums, counts = np.zeros(shape), np.zeros(shape)
    known = ~np.isnan(values)
    np.add.at(sums, clusters, np.where(known, values, 0.0))
    np.add.at(counts, clusters, known.astype(np.float64))
    return sums, counts


def mean_with_standard_error(values: Floats, clusters: Ints | None = None) -> tuple[float, float, int]:
    """Mean of the rows, its cluster-robust standard error, and degrees of freedom (number of clusters − 1).

    The error is √(G/(G−1) · Σ_g (Σ_{i∈g} (v_i − v̄))²) / n; if every row is its own cluster this is s/√n. NaN with
    fewer than two clusters.
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return float("nan"), float("nan"), 0
    groups = number_clusters(clusters, len(values))
    sums, _ = sum_clusters(values - values.mean(), groups)
    count = len(sums)
    error = np.sqrt(count / (count - 1) * np.sum(sums**2)) / len(values) if count > 1 else np.nan
    return float(values.mean()), float(error), count - 1


def clustered_student_interval(values: Floats, clusters: Ints | None = None, level: float = 0.95) -> Interval:
    """Student's interval for the mean of rows with the cluster-robust standard error; NaN with fewer than two clusters.

    The coverage at nominal 95 % is 95 % for symmetric data, also heavy-tailed (t3); for exponential data it is about
    92 % with 30 clusters and 93 % with 60. ``mean_interval`` covers skewed data.
    """
    mean, error, freedom = mean_with_standard_error(values, clusters)
    if freedom < 1:
        return Interval(np.nan, np.nan, level, "undefined")
    half = float(scipy_stats.t.ppf((1 + level) / 2, freedom)) * error
    return Interval(mean - half, mean + half, level, "student" if clusters is None else "student of clusters")


def mean_interval(values: Floats, clusters: Ints | None = None, level: float = 0.95) -> Interval:
    """Interval for the mean of rows with skewed clusters (``skewness_corrected_interval``); NaN below two clusters.

    Each cluster counts with its contribution to the mean. The coverage at nominal 95 % was 93 to 97 % for 30 and 60
    clusters of normal, exponential and t3 data (tests/judge/test_comparisons.py). The caller
    must drop NaN values.
    """
    values = np.asarray(values, dtype=np.float64)
    if clusters is None or len(values) < 2:
        return skewness_corrected_interval(values, level)
    sums, _ = sum_clusters(values - values.mean(), number_clusters(clusters, len(values)))
    return replace(
        skewness_corrected_interval(values.mean() + sums * len(sums) / len(values), level),
        method="student, for skewed clusters",
    )


def resample_means(values: Floats, clusters: Ints, draws: int, seed: Seed) -> Floats:
    """Bootstrap means (draw, *) of values (row, *): clusters are drawn with replacement; NaN values are left out.

    All columns use the same draws, so columns stay paired.
    """
    sums, counts = sum_clusters(values, clusters)
    groups = len(sums)
    counts_drawn = seed.child("clusters").generator().multinomial(groups, np.full(groups, 1 / groups), size=draws)
    weights = counts_drawn.astype(np.float64)
    total, number = np.tensordot(weights, sums, axes=1), np.tensordot(weights, counts, axes=1)
    return np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
