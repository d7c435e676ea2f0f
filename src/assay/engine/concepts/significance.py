# SPDX-License-Identifier: Apache-2.0
"""TCAV scores with a test among random concepts of the same size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints
from assay.engine.concepts.directions import Dual, Pool, Sets, is_one_direction, magnitude, positive_share

FOLDS, CHECKED = 5, 5
"""Folds of the held-out accuracy, and counterpart sets over which it is averaged."""


@dataclass(frozen=True)
class Trial:
    """How concepts are tested: counterpart sets of each, random concepts, and the width of the smooth step."""

    counterparts: int
    randoms: int
    smooth: float
    separability: float

    def __post_init__(self) -> None:
        if self.counterparts < 2 or self.randoms < 1:
            raise InputError(
                f"counterparts={self.counterparts}, random_concepts={self.randoms}; at least 2 sets of counterparts "
                f"and a random concept are needed (99 for p = 0.01)."
            )
        if not self.smooth >= 0 or not 0 < self.separability <= 1:
            raise InputError(
                f"smooth={self.smooth} is at least 0; separability={self.separability} is a p-value above 0, at most 1."
            )


@dataclass(frozen=True, eq=False)
class ConceptScores:
    """Of concepts (concept, …) at one layer: what ``explain.tcav`` reports; ``…`` are the classes."""

    sensitivity: Floats
    sensitivity_stderr: Floats
    projection: Floats
    length: Floats
    tcav: Floats
    stderr: Floats
    magnitude: Floats
    p: Floats
    t_test: Floats
    accuracy: Floats
    accuracy_p: Floats
    contrast: Floats
    contrast_stderr: Floats
    contrast_p: Floats
    null: Floats
    constant: tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class _Null:
    """Random concepts of one size: scores (random, counterpart set, class) and held-out accuracy (random,).

    ``strength`` (random, class) is the mean sensitivity without its sign, along directions of length 1. ``pool`` is
    the number of rows that they are drawn from, ``left`` those for the counterparts of a concept.
    """

    scores: Floats
    strength: Floats
    accuracy: Floats
    left: Ints
    pool: int


def score_concepts(
    pool: Pool, concepts: Sequence[Floats], classes: Sequence[Ints], controls: Sequence[int], trial: Trial, seed: Seed
) -> ConceptScores:
    """Scores and tests of concepts at one layer.

    ``concepts`` are the activations (sample, number) of each, ``classes`` the explained rows of each class,
    ``controls`` the positions of the control concepts. Each random concept is drawn from the pool, and its counterparts
    from the rest of it; the counterparts of a concept are drawn from as many rows of the pool.
    """
    counts = [len(one) for one in concepts]
    nulls = {size: _random_concepts(pool.dual, size, classes, trial, seed) for size in dict.fromkeys(counts)}
    found = [_score(pool.with_concept(one), nulls[len(one)], classes, trial, seed) for one in concepts]
    scores = np.stack([one["scores"] for one in found])  # (concept, counterpart set, class)
    score = scores.mean(axis=1)
    constant = tuple(is_one_direction(pool.gradient[rows]) for rows in classes)
    p, t_test = np.empty(score.shape), np.empty(score.shape)
    for number, size in enumerate(counts):
        null = nulls[size]
        p[number] = _distance_p(null, score[number], found[number]["strength"])
        t_test[number] = _customary(scores[number], null.scores[: trial.counterparts, 0])
    p[:, list(constant)] = t_test[:, list(constant)] = np.nan
    contrast, spread, contrast_p = _contrasts(scores, counts, nulls, controls)
    contrast_p[:, list(constant)] = np.nan
    accuracy = np.array([one["accuracy"] for one in found])
    below = np.array([float(rank_p(nulls[size].accuracy, accuracy[n])) for n, size in enumerate(counts)])
    return ConceptScores(
        sensitivity=np.stack([one["mean"] for one in found]),
        projection=np.stack([one["projection"] for one in found]),
        sensitivity_stderr=np.stack([one["error"] for one in found]),
        length=np.array([one["length"] for one in found]),
        tcav=score,
        stderr=scores.std(axis=1, ddof=1) / np.sqrt(trial.counterparts),
        magnitude=np.stack([one["magnitude"] for one in found]),
        p=p,
        t_test=t_test,
        accuracy=accuracy,
        accuracy_p=below,
        contrast=contrast,
        contrast_stderr=spread,
        contrast_p=contrast_p,
        null=np.stack([nulls[size].scores.mean(axis=1) for size in counts]),
        constant=constant,
    )


def rank_p(null: Floats, found: Floats) -> Floats:
    """(1 + the number of random concepts with at least this statistic) / (1 + random concepts), for each class."""
    return np.asarray((1 + (null >= found - 1e-12).sum(axis=0)) / (1 + len(null)))


def _distance_p(null: _Null, score: Floats, strength: Floats) -> Floats:
    """The share of random concepts whose score is farther from ½, or as far with a sensitivity as large (class,).

    Scores are often exactly 0 or 1. Without the second criterion all of these would count as equal, and no concept
    could get a p-value below the share of random concepts that reach 0 or 1.
    """
    distance, own = np.abs(null.scores.mean(axis=1) - 0.5), np.abs(score - 0.5)
    is_tied = np.abs(distance - own) <= 1e-12
    return rank_p(np.where(is_tied, null.strength >= strength * (1 - 1e-12), distance > own).astype(float), np.ones(1))


def _draw(stream: np.random.Generator, rows: Ints, size: int, count: int) -> Ints:
    """``count`` sets of ``size`` different rows."""
    return np.stack([np.sort(stream.permutation(rows)[:size]) for _ in range(count)])


def _random_concepts(dual: Dual, size: int, classes: Sequence[Ints], trial: Trial, seed: Seed) -> _Null:
    pool = np.arange(len(dual.kernel))
    if len(pool) < 2 * size:
        raise InputError(
            f"random_rows has {len(pool)} rows, a concept {size}; at least twice as many random rows are needed, and "
            f"five times as many make the test reliable. Give more random rows, or fewer rows of the concept."
        )
    inside, outside = [], []
    for number in range(trial.randoms):
        stream = seed.child("random concept", size, number).generator()
        mixed = stream.permutation(pool)
        inside.append(np.tile(np.sort(mixed[:size]), (trial.counterparts, 1)))
        outside.append(_draw(stream, mixed[size:], size, trial.counterparts))
    sets = Sets(np.concatenate(inside), np.concatenate(outside))
    values = dual.sensitivities(sets)
    shape = (trial.randoms, trial.counterparts)
    scores = np.stack([positive_share(values[rows], trial.smooth).reshape(shape) for rows in classes], axis=2)
    left = seed.child("left out", size).generator().permutation(pool)[size:]
    unit = _of_length_one(values, dual.lengths(sets))
    strength = np.stack([np.abs(unit[rows].mean(axis=0).reshape(shape).mean(axis=1)) for rows in classes], axis=1)
    return _Null(scores, strength, _accuracy(dual, sets, trial), left, len(pool))


def _of_length_one(values: Floats, length: Floats) -> Floats:
    """Sensitivities (row, set) along directions of length 1; 0 where there is no direction."""
    return np.divide(values, length, out=np.zeros_like(values), where=length > 0)


def _accuracy(dual: Dual, sets: Sets, trial: Trial) -> Floats:
    """Held-out accuracy of each concept, the mean over its first counterpart sets."""
    checked = min(CHECKED, trial.counterparts)
    which = np.arange(len(sets)).reshape(-1, trial.counterparts)[:, :checked].ravel()
    some = Sets(sets.inside[which], sets.outside[which])
    return dual.cross_validated_accuracy(some, min(FOLDS, sets.inside.shape[1])).reshape(-1, checked).mean(axis=1)


def _score(dual: Dual, null: _Null, classes: Sequence[Ints], trial: Trial, seed: Seed) -> Mapping[str, Floats]:
    """The scores of one concept, the last samples of ``dual``; concepts of one size share their counterpart sets."""
    place = np.arange(null.pool, len(dual.kernel))
    size = len(place)
    outside = _draw(seed.child("counterparts", size).generator(), null.left, size, trial.counterparts)
    sets = Sets(np.tile(place, (trial.counterparts, 1)), outside)
    values, length = dual.sensitivities(sets), dual.lengths(sets)
    unit = _of_length_one(values, length)
    return {
        "scores": np.stack([positive_share(values[rows], trial.smooth) for rows in classes], axis=1),
        "strength": np.array([abs(unit[rows].mean()) for rows in classes]),
        "mean": unit.mean(axis=1),
        "error": unit.std(axis=1, ddof=1) / np.sqrt(trial.counterparts),
        "projection": dual.projections(sets, length).mean(axis=1),
        "length": length.mean(),
        "magnitude": np.array([np.mean(magnitude(values[rows])) for rows in classes]),
        "accuracy": _accuracy(dual, sets, trial)[0],
    }


def _customary(scores: Floats, randoms: Floats) -> Floats:
    """Welch's t-test of one concept's scores (counterpart set, class) against random pairs, as in Kim et al. 2018."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = scipy_stats.ttest_ind_from_stats(
            scores.mean(axis=0), scores.std(axis=0, ddof=1), len(scores),
            randoms.mean(axis=0), randoms.std(axis=0, ddof=1), len(randoms), equal_var=False,
        ).pvalue  # fmt: skip
    same = (scores.std(axis=0) == 0) & (randoms.std(axis=0) == 0)
    return np.where(same, np.where(scores.mean(axis=0) == randoms.mean(axis=0), 1.0, 0.0), found)


def _contrasts(
    scores: Floats, counts: Sequence[int], nulls: Mapping[int, _Null], controls: Sequence[int]
) -> tuple[Floats, Floats, Floats]:
    """Concept minus the mean of the controls (concept, class), its standard error, and p among random concepts."""
    shape = (len(scores), scores.shape[2])
    if not controls:
        return np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    difference = scores - scores[list(controls)].mean(axis=0)
    mean, p = difference.mean(axis=1), np.full(shape, np.nan)
    for number, size in enumerate(counts):
        if number in controls:
            mean[number] = np.nan
            continue
        null = nulls[size].scores.mean(axis=1)
        others = []
        for shift, control in enumerate(controls, start=1):
            other = nulls[counts[control]].scores.mean(axis=1)
            others.append(np.roll(other, shift, axis=0))
        between = null - np.mean(others, axis=0)
        p[number] = rank_p(np.abs(between), np.abs(mean[number]))
    spread = difference.std(axis=1, ddof=1) / np.sqrt(scores.shape[1])
    spread[list(controls)] = np.nan
    return mean, spread, p
