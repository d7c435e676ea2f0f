# SPDX-License-Identifier: Apache-2.0
"""Scores on the way from a random explanation to the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from assay.basics.clustered import numbered, resampled_means
from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.engine.comparison.paired_scores import PairedScores


@dataclass(frozen=True, eq=False)
class NormalisedScores:
    """Where each method stands, (method,): 0 as random, 1 as the oracle; with an interval; NaN where it cannot be."""

    share: Floats
    low: Floats
    high: Floats


def oriented(values: Floats, better: str) -> Floats:
    """The values with higher as better; as they are for a score that has no better side."""
    return -values if better == "lower" else values


def climbed(values: Floats, better: str, paired_scores: PairedScores) -> NormalisedScores:
    """The ladder of ``values`` (row, method), each method over the rows that it shares with random and oracle.

    The interval takes the percentiles over resamples; it is NaN where the ladder fails to rise in any of them.
    """
    nothing = np.full(values.shape[1], np.nan)
    share, low, high = nothing.copy(), nothing.copy(), nothing.copy()
    if better == "neither" or not {"random", "oracle"} <= set(paired_scores.references):
        return NormalisedScores(share, low, high)
    ends = [paired_scores.methods.index(paired_scores.references[role]) for role in ("random", "oracle")]
    for i in range(values.shape[1]):
        three = oriented(values[:, [i, *ends]], better)
        known = ~np.isnan(three).any(axis=1)
        if not known.any():
            continue
        own, floor, top = three[known].mean(axis=0)
        if not top > floor:
            continue
        share[i] = (own - floor) / (top - floor)
        groups = numbered(None if paired_scores.clusters is None else paired_scores.clusters[known], int(known.sum()))
        drawn = resampled_means(three[known], groups, paired_scores.draws, paired_scores.seed.child("ladder"))
        rise = drawn[:, 2] - drawn[:, 1]
        if (rise > 0).all():
            tail = (1 - paired_scores.level) / 2
            low[i], high[i] = np.quantile((drawn[:, 0] - drawn[:, 1]) / rise, [tail, 1 - tail])
    return NormalisedScores(share, low, high)


def margin_of(name: str, values: Floats, better: str, paired_scores: PairedScores) -> float:
    """The difference that does not matter, in units of the score; NaN where none was given or the share has no base."""
    given = paired_scores.margin
    if isinstance(given, Mapping):
        given = given.get(name)
    if given is not None and paired_scores.share is not None:
        raise InputError("give margin= or share=, not both: each says which difference does not matter.")
    if given is not None:
        if not given > 0:
            raise InputError(f"margin={given} for {name}; a difference that does not matter is above 0.")
        return float(given)
    if paired_scores.share is None:
        return float("nan")
    if not 0 < paired_scores.share < 1 or "random" not in paired_scores.references:
        raise InputError(
            f"share={paired_scores.share} of the way up from random needs a share between 0 and 1 and a reference "
            f"that plays "
            f"random; references are {dict(paired_scores.references)}. Score explain.random, too, or give margin=."
        )
    if better == "neither":
        return float("nan")
    means = np.array([column[~np.isnan(column)].mean() if (~np.isnan(column)).any() else np.nan
                      for column in oriented(values, better).T])  # fmt: skip
    floor = means[paired_scores.methods.index(paired_scores.references["random"])]
    oracle = paired_scores.references.get("oracle")
    top = means[paired_scores.methods.index(oracle)] if oracle else np.nanmax(means[paired_scores.ranked])
    return float(paired_scores.share * (top - floor)) if top > floor else float("nan")
