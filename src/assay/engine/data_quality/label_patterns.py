# SPDX-License-Identifier: Apache-2.0
"""What predicts the labels of training rows and should not: their order, missing values, a column in one group only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assay.basics.seed import Seed
from assay.basics.stats import Interval, newcombe
from assay.basics.types import Floats, Ints, Masks

PERMUTATIONS = 199
"""Permuted labels from which the null interval of the order comes."""

BINS, LEAST = 8, 30
"""Ranges of a number, and the fewest rows of a group, or with a missing value, that are measured."""

DENSE = 20
"""Whole numbers are like ids where there are at most so many for each row between the smallest and the largest."""


def adjacent_agreement(labels: Ints, order: Ints) -> Floats:
    """For neighbours in an order, (pair,): 1 for equal classes, less on average 0 for labels in random order.

    (equal − e) / (1 − e), where e is the probability that two of these labels, drawn without repeats, are equal.
    """
    ordered = labels[order]
    counts = np.bincount(labels).astype(np.float64)
    expected = float((counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1)))
    return np.asarray(((ordered[1:] == ordered[:-1]) - expected) / max(1 - expected, 1e-12))


def agreement_without_effect(labels: Ints, seed: Seed, level: float) -> Interval:
    """Where the mean agreement of permuted labels lies."""
    generator = seed.child("permutations").generator()
    means = [adjacent_agreement(labels, generator.permutation(len(labels))).mean() for _ in range(PERMUTATIONS)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, f"{PERMUTATIONS} permutations")


def is_like_ids(column: Floats, coded: bool) -> bool:
    """Whether all values differ and are whole numbers without wide gaps, or levels."""
    if np.isnan(column).any() or len(np.unique(column)) < len(column):
        return False
    return coded or bool((column == np.round(column)).all() and np.ptp(column) <= DENSE * len(column))


@dataclass(frozen=True)
class RateGap:
    """How much more frequent a class is in some rows than in the others: ``hits`` of ``trials``, inside and outside."""

    name: str
    label: int
    hits: tuple[int, int]
    trials: tuple[int, int]

    @property
    def difference(self) -> float:
        """Share inside minus share outside."""
        return self.hits[0] / max(self.trials[0], 1) - self.hits[1] / max(self.trials[1], 1)

    def limits(self, level: float) -> Interval:
        """Newcombe's interval of the difference."""
        return newcombe(self.hits[0], self.trials[0], self.hits[1], self.trials[1], level)


def rate_gap(name: str, labels: Ints, inside: Masks, label: int) -> RateGap:
    """The gap of one class between the rows ``inside`` and the others."""
    is_class = labels == label
    hits = int((is_class & inside).sum()), int((is_class & ~inside).sum())
    return RateGap(name, label, hits, (int(inside.sum()), int((~inside).sum())))


def largest_missing_gap(labels: Ints, missing: Masks, names: Sequence[str]) -> RateGap | None:
    """The column (of ``missing``, (row, column)) whose gaps raise the share of a class most; ``None`` without gaps.

    Column and class are chosen in the even rows and measured in the odd ones, so that the choice costs no correction.
    """
    chosen, measured = np.arange(len(labels)) % 2 == 0, np.arange(len(labels)) % 2 == 1
    counts = np.minimum(missing[chosen].sum(axis=0), missing[measured].sum(axis=0))
    rests = np.minimum((~missing[chosen]).sum(axis=0), (~missing[measured]).sum(axis=0))
    best: RateGap | None = None
    for column in np.flatnonzero((counts >= LEAST // 2) & (rests >= LEAST // 2)):
        for label in np.unique(labels):
            gap = rate_gap(names[int(column)], labels[chosen], missing[chosen, column], int(label))
            if best is None or gap.difference > best.difference:
                best = gap
    if best is None:
        return None
    return rate_gap(best.name, labels[measured], missing[measured, list(names).index(best.name)], best.label)


@dataclass(frozen=True)
class GroupCue:
    """A column whose rule is more accurate in one group than in the others, both against chance: balanced accuracy."""

    column: str
    attribute: str
    group: str
    inside: float
    outside: float
    limits: Interval


def group_cues(
    x: Floats, coded: Masks, names: Sequence[str], labels: Ints, groups: Mapping[str, Sequence[str]], level: float
) -> list[GroupCue]:
    """For each group the column that predicts the label better there than elsewhere, the clearest first.

    A rule (the most frequent class of each level or of 8 ranges, classes weighted equally) is fitted inside and outside
    the group on the even rows. The odd rows measure both on the rows they are for. Columns are chosen by the even rows.
    """
    tests = [(name, one) for name, column in groups.items() for one in sorted(set(column))]
    found: list[GroupCue] = []
    even = np.arange(len(labels)) % 2 == 0
    for attribute, group in tests:
        inside = np.array([value == group for value in groups[attribute]])
        if min((inside & even).sum(), (inside & ~even).sum(), (~inside & ~even).sum()) < LEAST:
            continue
        usable = [place for place, name in enumerate(names) if name not in groups]
        gains = [
            _correct(x[:, place], bool(coded[place]), labels, inside & even, inside & even).mean()
            - _correct(x[:, place], bool(coded[place]), labels, ~inside & even, ~inside & even).mean()
            for place in usable
        ]
        if not gains:
            continue
        best = usable[int(np.argmax(gains))]
        own, other = (
            _correct(x[:, best], bool(coded[best]), labels, side & even, side & ~even) for side in (inside, ~inside)
        )
        found.append(_cue(names[best], attribute, group, own, other, 1 - (1 - level) / len(tests)))
    return sorted(found, key=lambda cue: -cue.limits.low)


def _cue(column: str, attribute: str, group: str, own: Floats, other: Floats, level: float) -> GroupCue:
    from assay.basics.stats import rate_difference_interval, student_interval

    means = float(own.mean()), float(other.mean())
    limits = rate_difference_interval(means[0], student_interval(own, level), means[1], student_interval(other, level))
    return GroupCue(column, attribute, group, *means, limits)


def _correct(column: Floats, coded: bool, labels: Ints, fitted: Masks, measured: Masks) -> Floats:
    """For rows ``measured``, whose mean is the balanced accuracy of the rule of the rows ``fitted``, (row,)."""
    bins = column.astype(np.int64) if coded else np.digitize(column, np.quantile(column[fitted], _EDGES))
    classes, place = np.unique(labels, return_inverse=True)
    counts = np.zeros((int(bins.max()) + 1, len(classes)))
    np.add.at(counts, (bins[fitted], place[fitted]), 1.0)
    total = counts.sum(axis=0)
    rule = np.argmax(counts / np.maximum(total, 1), axis=1)
    own = place[measured]
    present = np.bincount(own, minlength=len(classes)).astype(np.float64)
    weight = len(own) / (np.count_nonzero(present) * np.maximum(present, 1))
    return np.asarray((rule[bins[measured]] == own) * weight[own])


_EDGES = np.linspace(0, 1, BINS + 1)[1:-1]
