# SPDX-License-Identifier: Apache-2.0
"""Whether the masks of an explanation tell the class by themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.seed import Seed
from assay.basics.stats import Interval, clopper_pearson
from assay.basics.types import Ints, Masks

LEAST_ROWS = 20
"""Fewest training rows for which a mask classifier is fitted."""


@dataclass(frozen=True, eq=False)
class MaskLeak:
    """Accuracy of a classifier that sees only the masks, its interval, and what a constant guess reaches."""

    accuracy: float
    interval: Interval
    chance: float

    @property
    def found(self) -> bool:
        """Whether the masks tell the class: the interval lies above chance."""
        return bool(self.interval.low > self.chance)


def measure_mask_leak(masks: list[Masks], classes: Ints, seed: Seed, level: float = 0.95) -> MaskLeak:
    """The largest accuracy of logistic models on the masks (row, part) of each fraction alone.

    Each model is fitted on half of the rows and measured on the other half, so that its interval is exact
    (Clopper-Pearson, Bonferroni-corrected for the number of masks). Chance is the share of the largest class there.
    Masks that do not depend on the class are called leaking in at most (1 − level) / 2 of runs.
    """
    order = seed.child("mask halves").generator().permutation(len(classes))
    fitted, held = order[: len(order) // 2], order[len(order) // 2 :]
    undefined = MaskLeak(float("nan"), Interval(float("nan"), float("nan"), level, "undefined"), float("nan"))
    if len(classes) < LEAST_ROWS or len(set(classes[fitted].tolist())) < 2:
        return undefined
    chance = float(np.bincount(classes[held]).max() / len(held))
    each = 1 - (1 - level) / len(masks)
    found = []
    for mask in masks:
        hits = _hits(mask, classes, fitted, held)
        found.append(MaskLeak(hits / len(held), clopper_pearson(hits, len(held), each), chance))
    return max(found, key=lambda one: one.accuracy)


def _hits(mask: Masks, classes: Ints, fitted: Ints, held: Ints) -> int:
    if (mask == mask[:1]).all():
        guess = np.bincount(classes[fitted]).argmax()
        return int((classes[held] == guess).sum())
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=200).fit(mask[fitted].astype(np.float64), classes[fitted])
    return int((model.predict(mask[held].astype(np.float64)) == classes[held]).sum())
