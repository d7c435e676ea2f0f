# SPDX-License-Identifier: Apache-2.0
"""How well influence predicts retraining: random halves of the training rows, and the noise of the retraining."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.errors import InputError
from assay.basics.samples.correlation import spearman
from assay.basics.seed import Seed
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.influence.refits import subset_targets
from assay.nouns.inputs.recipe import Recipe

LEAST_SUBSETS = 8
"""Fewest subsets."""


def random_halves(rows: int, subsets: int, seed: Seed) -> Masks:
    """Which rows each subset holds, (subset, row): random halves, independent of each other."""
    if subsets < LEAST_SUBSETS or rows < 2:
        raise InputError(f"{subsets} subsets of {rows} rows; at least {LEAST_SUBSETS} subsets and 2 rows are needed.")
    members = np.zeros((subsets, rows), dtype=bool)
    for number in range(subsets):
        order = seed.child("half", number).generator().permutation(rows)
        members[number, order[: rows // 2]] = True
    return members


@dataclass(frozen=True, eq=False)
class RetrainedTargets:
    """Targets (seed, subset, row) of models trained on ``members`` (subset, training row)."""

    members: Masks
    targets: Floats

    @classmethod
    def of(cls, case: Case, recipe: Recipe, subsets: int, seeds: int) -> RetrainedTargets:
        """Train on random halves of the recipe's rows with each seed."""
        if seeds < 1:
            raise InputError(f"seeds={seeds}; at least 1 is needed.")
        root = case.seed.child("datamodel")
        members = random_halves(len(recipe.y), subsets, root)
        found = [subset_targets(case, recipe, members, root.child("training", number)) for number in range(seeds)]
        return cls(members, np.stack(found))

    @property
    def means(self) -> Floats:
        """Mean over seeds, (row, subset)."""
        return np.asarray(self.targets.mean(axis=0).T)

    def predicted(self, values: Floats) -> Floats:
        """What influence (row, training row) predicts for each subset, (row, subset): the sum over what it lacks."""
        return np.asarray(values @ (~self.members).astype(np.float64).T)

    def correlation(self, values: Floats) -> Floats:
        """Spearman correlation over subsets of the predicted with the retrained target, (row,)."""
        return spearman(self.predicted(values), self.means)

    def jackknife_error(self, values: Floats) -> tuple[Floats, float]:
        """Standard errors over subsets of the correlation of each row (row,), and of its mean over rows."""
        predicted, means = self.predicted(values), self.means
        count = predicted.shape[1]
        left = np.stack(
            [spearman(np.delete(predicted, one, axis=1), np.delete(means, one, axis=1)) for one in range(count)]
        )
        times = np.sqrt(count - 1)
        defined = ~np.isnan(left).any(axis=0)
        mean = float(left[:, defined].mean(axis=1).std() * times) if defined.any() else float("nan")
        return np.where(defined, left.std(axis=0) * times, np.nan), mean

    @property
    def ceiling(self) -> Floats:
        """The correlation that a perfect prediction would reach, (row,): the root of the reliability of the means.

        Reliability = 1 − (variance over seeds / seeds) / variance of the means over subsets, at least 0. NaN for one
        seed. It holds for linear correlation, and for ranks approximately.
        """
        seeds = len(self.targets)
        if seeds < 2:
            return np.full(self.targets.shape[2], np.nan)
        noise = self.targets.var(axis=0, ddof=1).mean(axis=0) / seeds
        spread = self.targets.mean(axis=0).var(axis=0, ddof=1)
        reliability = 1 - np.divide(noise, spread, out=np.full(len(noise), np.nan), where=spread > 0)
        return np.asarray(np.sqrt(np.clip(reliability, 0.0, 1.0)))
