# SPDX-License-Identifier: Apache-2.0
"""Normalised scores (0 as the random explanation, 1 as the oracle) and equivalence margins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from assay.basics.clustered import number_clusters, resample_means
from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.engine.comparison.paired_scores import PairedScores


@dataclass(frozen=True, eq=False)
class NormalisedScores:
    """Normalised score of each method, (method,), with its interval: 0 as random, 1 as the oracle; NaN if undefined."""

    score: Floats
    low: Floats
    high: Floats


def orient(values: Floats, better: str) -> Floats:
    """The values with their sign changed where lower is better, so that higher is better."""
    return -values if better == "lower" else values


def normalise_scores(values: Floats, better: str, paired_scores: PairedScores) -> NormalisedScores:
    """(mean − random) / (oracle − random) of ``values`` (row, method), over the rows where all three are defined.

    The interval is a percentile bootstrap interval; NaN where in any resample the oracle is not better than random.
    """
    undefined = np.full(values.shape[1], np.nan)
    score, low, high = undefined.copy(), undefined.copy(), undefined.copy()
    if better == "neither" or not {"random", "oracle"} <= set(paired_scores.references):
        return NormalisedScores(score, low, high)
    ends = [paired_scores.methods.index(paired_scores.references[role]) for role in ("random", "oracle")]
    for i in range(values.shape[1]):
        three = orient(values[:, [i, *ends]], better)
        known = ~np.isnan(three).any(axis=1)
        if not known.any():
            continue
        own, random, oracle = three[known].mean(axis=0)
        if not oracle > random:
            continue
        score[i] = (own - random) / (oracle - random)
        groups = number_clusters(
            None if paired_scores.clusters is None else paired_scores.clusters[known], int(known.sum())
        )
        resampled = resample_means(three[known], groups, paired_scores.draws, paired_scores.seed.child("ladder"))
        gain = resampled[:, 2] - resampled[:, 1]
        if (gain > 0).all():
            tail = (1 - paired_scores.level) / 2
            low[i], high[i] = np.quantile((resampled[:, 0] - resampled[:, 1]) / gain, [tail, 1 - tail])
    return NormalisedScores(score, low, high)


def equivalence_margin(name: str, values: Floats, better: str, paired_scores: PairedScores) -> float:
    """The equivalence margin in units of the score; NaN where none is given, or ``share`` of no gain over random."""
    given = paired_scores.margin
    if isinstance(given, Mapping):
        given = given.get(name)
    if given is not None and paired_scores.share is not None:
        raise InputError("give margin= or share=, not both: each defines the equivalence margin.")
    if given is not None:
        if not given > 0:
            raise InputError(f"margin={given} for {name}; an equivalence margin must be above 0.")
        return float(given)
    if paired_scores.share is None:
        return float("nan")
    if not 0 < paired_scores.share < 1 or "random" not in paired_scores.references:
        raise InputError(
            f"share={paired_scores.share} must be between 0 and 1, and needs a reference in the role 'random'; "
            f"references are {dict(paired_scores.references)}. Score explain.random, too, or give margin=."
        )
    if better == "neither":
        return float("nan")
    means = np.array([column[~np.isnan(column)].mean() if (~np.isnan(column)).any() else np.nan
                      for column in orient(values, better).T])  # fmt: skip
    random = means[paired_scores.methods.index(paired_scores.references["random"])]
    oracle = paired_scores.references.get("oracle")
    best = means[paired_scores.methods.index(oracle)] if oracle else np.nanmax(means[paired_scores.ranked])
    return float(paired_scores.share * (best - random)) if best > random else float("nan")
