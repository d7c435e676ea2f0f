# SPDX-License-Identifier: Apache-2.0
"""Shapley values by least squares on complementary pairs, drawn by leverage score."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.engine.coalitions.summary import BEYOND, Design, Summary, all_masks, distinct, enumerated, exact_shapley
from assay.nouns.results.result import Estimate

LISTED = 20_000
"""Sets of one size, up to this many, are listed and shuffled; more are drawn until they differ."""


def paired(parts: int, budget: int, seed: Seed) -> Design:
    """Empty and full set, then complementary pairs: sizes equally often, sets of a size without replacement.

    The chance of a set is its leverage score, 1 / C(n, |S|) up to a constant (Musco and Witter 2025); a size whose
    sets are all used gives its share to the others. A larger budget asks the same pairs and more: each size has a
    stream of its own, and sizes take turns in an order that the budget does not change.
    """
    sizes = np.arange(1, parts // 2 + 1)
    held = [comb(parts, int(s)) // (2 if 2 * s == parts else 1) for s in sizes]
    pairs = min((budget - 2) // 2, sum(held))
    if parts == 1 and budget >= 2:
        return Design(all_masks(1))
    if pairs < parts - 1:
        raise InputError(
            f"budget={budget} leaves {max(pairs, 0)} pairs of coalitions for {parts} parts; at least "
            f"{2 * (parts - 1) + 2} evaluations determine the values. Raise budget, or group parts."
        )
    taken = _allotted(pairs, held, np.where(2 * sizes == parts, 0.5, 1.0))
    masks, weight = [], []
    for size, count, total in zip(sizes.tolist(), taken.tolist(), held):
        masks.append(sets(parts, size, count, total, seed.child(size)))
        # kernel weight (n − 1) / (C(n, s) s (n − s)) of all pairs of the size, spread over those that stand for them
        kernel = (parts - 1) / (size * (parts - size)) * (0.5 if 2 * size == parts else 1.0)
        weight.append(np.full(count, kernel / max(count, 1)))
    half = np.concatenate(masks)
    both = np.concatenate([[[False] * parts, [True] * parts], np.stack([half, ~half], axis=1).reshape(-1, parts)])
    population = np.repeat([float(min(total, BEYOND)) for total in held], taken)
    design = Design(both, np.concatenate(weight), np.repeat(sizes, taken), population)
    if not Pairs(design).determined:
        raise InputError(
            f"budget={budget}: the coalitions drawn do not determine {parts} values. Raise budget, or group parts."
        )
    return design


def _allotted(pairs: int, held: list[int], share: Floats) -> Ints:
    """Pairs to each size, one after another to the size that is furthest behind its share (Webster's rule).

    Never more than a size holds; one more pair never takes one away from any size.
    """
    rooms = np.minimum(np.array([min(total, pairs) for total in held]), pairs)
    size = np.repeat(np.arange(len(rooms)), rooms)
    turn = np.arange(len(size)) - np.repeat(np.cumsum(rooms) - rooms, rooms)
    first = np.lexsort((size, (2 * turn + 1) / share[size]))[:pairs]
    return np.bincount(size[first], minlength=len(rooms))


def sets(parts: int, size: int, count: int, total: int, seed: Seed) -> Masks:
    """The first ``count`` distinct sets of the size's stream; of complementary halves one only."""
    halves, generator = 2 * size == parts, seed.generator()
    if total <= LISTED:
        listed = [c for c in combinations(range(parts), size) if not halves or 0 in c]
        chosen = np.array(listed)[generator.permutation(total)[:count]]
        masks = np.zeros((count, parts), dtype=bool)
        np.put_along_axis(masks, chosen, True, axis=1)
        return masks

    def draw(many: int) -> Masks:
        first = np.argpartition(generator.random((many, parts)), size - 1, axis=1)[:, :size]
        block = np.zeros((many, parts), dtype=bool)
        np.put_along_axis(block, first, True, axis=1)
        return np.where(halves & ~block[:, :1], ~block, block)

    return distinct(count, parts, draw)


@dataclass(frozen=True, eq=False)
class Pairs:
    """The complementary pairs of a design, and the least squares on their differences v(S) − v(S^c).

    ``centred`` (pair, part) are the regressors, projected on Σφ = v(N) − v(∅).
    """

    design: Design

    @cached_property
    def half(self) -> Masks:
        """The first mask of each pair."""
        return self.design.masks[2::2]

    @cached_property
    def centred(self) -> Floats:
        """P(z_S − z_{S^c}), where P takes off the mean over parts."""
        return np.asarray(2.0 * (self.half - self.half.mean(axis=1, keepdims=True)))

    @cached_property
    def _factor(self) -> Any:
        """Cholesky's factor of the normal equations, or ``None`` where they are too near to singular for it."""
        gram = (self.centred * self.design.weight[:, None]).T @ self.centred
        gram += gram.trace() / gram.size
        try:
            factor = cho_factor(gram, lower=True)
        except LinAlgError:
            return None
        pivots = np.diag(factor[0])
        return factor if pivots.min() > 1e-4 * pivots.max() else None

    @cached_property
    def determined(self) -> bool:
        """Whether the pairs determine a value for every part."""
        return self._factor is not None or int(np.linalg.matrix_rank(self.centred)) == self.half.shape[1] - 1

    @cached_property
    def lever(self) -> Floats:
        """(pair, part): φ = Σ_pair lever · difference; the minimum-norm solution, which sums to 0."""
        if self._factor is not None:
            return np.asarray(cho_solve(self._factor, (self.centred * self.design.weight[:, None]).T).T)
        root = np.sqrt(self.design.weight)[:, None]
        return np.asarray((np.linalg.pinv(self.centred * root) * root[:, 0]).T)

    @cached_property
    def listed(self) -> Masks:
        """(pair,) whether all pairs of the size were asked, so that nothing there is left to chance."""
        count = np.bincount(self.design.stratum)[self.design.stratum]
        return np.asarray(count == self.design.population)

    @cached_property
    def spare(self) -> int:
        """Pairs beyond those that determine the values."""
        return len(self.half) - (self.half.shape[1] - 1)

    def differences(self, values: Floats) -> Floats:
        """(row, pair): v(S) − v(S^c), less an equal share of v(N) − v(∅) for each part."""
        parts = self.half.shape[1]
        gap = (values[:, 1] - values[:, 0])[:, None]
        return values[:, 2::2] - values[:, 3::2] - gap * (2 * self.half.sum(axis=1) - parts) / parts

    def shared_out(self, difference: Floats) -> tuple[Floats, Floats]:
        """φ without the equal share, and its variance, both (row, part).

        Linearised, stratified by size, with the correction for sampling without replacement, so it is exactly 0 once
        every pair has been asked; NaN where the pairs just determine the values and nothing is left to judge them by.
        """
        phi = difference @ self.lever
        residual = difference - phi @ self.centred.T
        variance = np.zeros_like(phi)
        freedom = len(self.half) / self.spare if self.spare > 0 else np.nan
        for layer in np.unique(self.design.stratum[~self.listed]):
            inside = self.design.stratum == layer
            count, total = int(inside.sum()), float(self.design.population[inside][0])
            spread = (residual[:, inside] ** 2) @ (self.lever[inside] ** 2)
            if count > 1:
                spread = spread - (residual[:, inside] @ self.lever[inside]) ** 2 / count
            variance += (1 - count / total) * count / max(count - 1, 1) * spread * freedom
        return phi, np.maximum(variance, 0.0)


def _linear(design: Design, values: Floats) -> Estimate:
    """Weighted least squares on complementary differences."""
    gap = (values[:, 1] - values[:, 0])[:, None]
    if design.masks.shape[1] == 1:
        return Estimate(gap, np.where(np.isnan(gap), np.nan, 0.0), values[:, 0])
    pairs = Pairs(design)
    phi, variance = pairs.shared_out(pairs.differences(values))
    return Estimate(phi + gap / design.masks.shape[1], np.sqrt(variance), values[:, 0])


paired_leverage = Summary("paired leverage", paired, _linear, partial=True)


def affordable_shapley(parts: int, budget: int) -> Summary:
    """All coalitions where ``budget`` pays for them, else complementary pairs: either way linear in the game."""
    return exact_shapley if enumerated(parts, budget) else paired_leverage
