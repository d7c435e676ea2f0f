# SPDX-License-Identifier: Apache-2.0
"""Bias amplification: how much more a model's decisions depend on groups, or lean to a class, than the labels do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.seed import Seed
from assay.basics.stats import Basis, Interval
from assay.basics.types import Floats, Ints
from assay.engine.fairness.null_gaps import DRAWS


def dependence_signs(given: Ints, then: Ints, rows: int, columns: int) -> Ints:
    """+1 (given, then) where the pair occurs more often than if both were independent, else −1."""
    joint = np.zeros((rows, columns))
    np.add.at(joint, (given, then), 1.0)
    total = joint.sum()
    return np.where(joint * total > joint.sum(axis=1)[:, None] * joint.sum(axis=0)[None, :], 1, -1)


@dataclass(frozen=True, eq=False)
class Amplification:
    """Directional bias amplification from ``given`` to what is predicted (Wang and Russakovsky 2021).

    (1 / |G||C|) Σ over values g of ``given`` and classes c of s(g, c) · [P(predicted = c | g) − P(true = c | g)], where
    s is the sign of the dependence in ``signs`` (given, class). ``given``, ``true`` and ``predicted`` (row,) are
    numbers from 0; only values of ``given`` that occur count.
    """

    given: Ints
    true: Ints
    predicted: Ints
    signs: Ints

    @property
    def steps(self) -> Floats:
        """What each row adds (row,), before the mean over the rows of its value of ``given``."""
        count = len(np.unique(self.given)) * self.signs.shape[1]
        return np.asarray((self.signs[self.given, self.predicted] - self.signs[self.given, self.true]) / count)

    @property
    def value(self) -> float:
        """The amplification; 0 where the decisions depend on ``given`` as the labels do."""
        return float(sum(self.steps[self.given == one].mean() for one in np.unique(self.given)))

    @property
    def basis(self) -> Basis:
        """The basis of its interval: one difference of paired rates for each value of ``given``."""
        steps, values = self.steps, np.unique(self.given)
        gained, lost, rows = (
            np.array([int(part[self.given == one].sum()) for one in values])
            for part in (steps > 0, steps < 0, np.ones_like(steps, dtype=bool))
        )
        weight = 2.0 / (len(values) * self.signs.shape[1])
        return Basis("paired sum", {"gained": gained, "lost": lost, "rows": rows, "weight": weight})

    def null_interval(self, level: float, seed: Seed) -> Interval:
        """Where it lies if label and decision of each row change places at random: rows keep their group."""
        generator, total = seed.generator(), np.zeros(DRAWS)
        for one in np.unique(self.given):
            own = self.steps[self.given == one]
            sizes, counts = np.unique(np.abs(own[own != 0]), return_counts=True)
            for size, count in zip(sizes, counts):
                total += size * (2 * generator.binomial(count, 0.5, DRAWS) - count) / len(own)
        low, high = np.quantile(total, [(1 - level) / 2, (1 + level) / 2])
        return Interval(float(low), float(high), level, "labels and decisions exchanged")


def zhao_amplification(
    group: Ints, true: Ints, predicted: Ints, classes: int, predicted_group: Ints | None = None, train: Any = None
) -> float:
    """Mean increase of the share of a group among the rows of a class, where it is already large (Zhao et al. 2017).

    b(c, g) is the share of group g among rows of class c. (1 / |C|) Σ over (c, g) with b(c, g) > 1 / |G| of
    b̂(c, g) − b(c, g): b by labels (those of the training rows where ``train`` = (groups, labels) has them), b̂ by
    decisions and ``predicted_group`` (by default the true group). Classes without rows in one of both are left out.
    """
    groups = int(max(group.max(), 0 if train is None else np.max(train[0]))) + 1
    shown = np.zeros((classes, groups))
    before, after = shown.copy(), shown.copy()
    np.add.at(before, (true, group) if train is None else (train[1], train[0]), 1.0)
    np.add.at(after, (predicted, group if predicted_group is None else predicted_group), 1.0)
    both = (before.sum(axis=1) > 0) & (after.sum(axis=1) > 0)
    if not both.any():
        return float("nan")
    was, now = (counts[both] / counts[both].sum(axis=1, keepdims=True) for counts in (before, after))
    occurring = len(np.unique(group if train is None else np.concatenate([group, train[0]])))
    return float(np.where(was > 1 / occurring, now - was, 0.0).sum() / both.sum())


@dataclass(frozen=True, eq=False)
class PredictionBias:
    """B = P(decision is the class) − P(label is the class) of each class (Leino et al. 2019); of two the last alone."""

    true: Ints
    predicted: Ints
    classes: int

    @property
    def counted(self) -> Ints:
        """The classes that are judged."""
        return np.arange(1 if self.classes == 2 else 0, self.classes)

    @property
    def gained(self) -> Ints:
        """Rows decided for the class without its label, (class,) of those judged."""
        wrong = self.predicted[self.predicted != self.true]
        return np.bincount(wrong, minlength=self.classes)[self.counted]

    @property
    def lost(self) -> Ints:
        """Rows with the label that are decided for another class, (class,) of those judged."""
        return np.bincount(self.true[self.predicted != self.true], minlength=self.classes)[self.counted]

    @property
    def values(self) -> Floats:
        """B of each class that is judged."""
        return np.asarray((self.gained - self.lost) / len(self.true))

    @property
    def basis(self) -> Basis:
        """The basis of the interval of the largest |B|."""
        return Basis("paired", {"gained": self.gained, "lost": self.lost, "rows": len(self.true)})

    def null_interval(self, level: float, seed: Seed) -> Interval:
        """Where the largest |B| lies if label and decision of each row change places at random."""
        wrong = self.true != self.predicted
        ends = np.sort(np.stack([self.true[wrong], self.predicted[wrong]]), axis=0)
        pairs, counts = np.unique(ends, axis=1, return_counts=True)
        swings = 2 * seed.generator().binomial(counts, 0.5, size=(DRAWS, len(counts))) - counts
        total = np.zeros((DRAWS, self.classes))
        for place, (one, two) in enumerate(pairs.T):
            total[:, one] += swings[:, place]
            total[:, two] -= swings[:, place]
        largest = np.abs(total[:, self.counted]).max(axis=1) / len(self.true)
        return Interval(0.0, float(np.quantile(largest, level)), level, "labels and decisions exchanged")
