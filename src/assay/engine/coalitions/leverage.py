# SPDX-License-Identifier: Apache-2.0
"""Leverage SHAP: Shapley values by least squares on complementary pairs of coalitions, drawn by leverage score."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.engine.coalitions.estimator import (
    MAX_COUNT,
    Design,
    Estimator,
    all_masks,
    draw_distinct,
    exact_shapley,
    is_enumerable,
)
from assay.nouns.results.result import Estimate

MAX_LISTED = 20_000
"""Up to this many sets of one size are listed and shuffled; beyond it, sets are drawn until enough differ."""


@lru_cache(maxsize=2)  # a plan asks for the pairs of a call several times
def draw_pairs(parts: int, budget: int, seed: Seed) -> Design:
    """The empty and the full coalition, then complementary pairs: sizes equally often, without replacement.

    The probability of a coalition is its leverage score, 1 / C(n, |S|) up to a constant (Musco and Witter 2025). Where
    all coalitions of a size are drawn, the rest of its share goes to the other sizes. Designs are nested: a larger
    budget adds pairs to those of a smaller one, since each size has its own random stream and the order of sizes does
    not depend on the budget.
    """
    sizes = np.arange(1, parts // 2 + 1)
    available = _count_pairs(parts)
    pairs = min((budget - 2) // 2, sum(available))
    if parts == 1 and budget >= 2:
        return Design(all_masks(1))
    if pairs < parts - 1:
        raise InputError(
            f"budget={budget} pays for {max(pairs, 0)} pairs of coalitions of {parts} features; the values need at "
            f"least {2 * (parts - 1) + 2} evaluations. Raise budget, or group features."
        )
    drawn = _allocate(pairs, available, np.where(2 * sizes == parts, 0.5, 1.0))
    masks, weight = [], []
    for size, count, total in zip(sizes.tolist(), drawn.tolist(), available):
        masks.append(draw_sets(parts, size, count, total, seed.child(size)))
        # kernel weight (n − 1) / (C(n, s) s (n − s)) of all pairs of the size, divided among the pairs drawn
        kernel = (parts - 1) / (size * (parts - size)) * (0.5 if 2 * size == parts else 1.0)
        weight.append(np.full(count, kernel / max(count, 1)))
    half = np.concatenate(masks)
    both = np.concatenate([[[False] * parts, [True] * parts], np.stack([half, ~half], axis=1).reshape(-1, parts)])
    population = np.repeat([float(min(total, MAX_COUNT)) for total in available], drawn)
    design = Design(both, np.concatenate(weight), np.repeat(sizes, drawn), population)
    if not PairRegression(design).is_determined:
        raise InputError(
            f"budget={budget}: the coalitions drawn do not determine {parts} values. Raise budget, or group features."
        )
    return design


def _count_pairs(parts: int) -> list[int]:
    """The number of complementary pairs of each size up to half the parts; counts beyond 2 × ``MAX_COUNT`` are cut."""
    counts, most = [], 2 * int(MAX_COUNT)
    total = 1
    for size in range(1, parts // 2 + 1):
        total = total if total >= most else min(total * (parts - size + 1) // size, most)
        counts.append(total // (2 if 2 * size == parts else 1))
    return counts


def _allocate(pairs: int, available: list[int], share: Floats) -> Ints:
    """Number of pairs of each size by Webster's rule: each pair goes to the size farthest below its share.

    No size gets more pairs than it has, and one more pair never lowers the number of any size.
    """
    limits = np.minimum(np.array([min(total, pairs) for total in available]), pairs)
    size = np.repeat(np.arange(len(limits)), limits)
    turn = np.arange(len(size)) - np.repeat(np.cumsum(limits) - limits, limits)
    first = np.lexsort((size, (2 * turn + 1) / share[size]))[:pairs]
    return np.bincount(size[first], minlength=len(limits))


def draw_sets(parts: int, size: int, count: int, total: int, seed: Seed) -> Masks:
    """Draw ``count`` distinct sets of ``size`` parts; of two complementary halves, at most one."""
    halves, generator = 2 * size == parts, seed.generator()
    if total <= MAX_LISTED:
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

    return draw_distinct(count, parts, draw)


@dataclass(frozen=True, eq=False)
class PairRegression:
    """Weighted least squares of the differences v(S) − v(S^c) on the complementary pairs of a design.

    ``centred`` (pair, part) are the regressors, projected onto the constraint Σφ = v(N) − v(∅).
    """

    design: Design

    @cached_property
    def half(self) -> Masks:
        """The first mask of each pair."""
        return self.design.masks[2::2]

    @cached_property
    def centred(self) -> Floats:
        """P(z_S − z_{S^c}), where P subtracts the mean over parts."""
        return np.asarray(2.0 * (self.half - self.half.mean(axis=1, keepdims=True)))

    @cached_property
    def _factor(self) -> Any:
        """Cholesky factor of the normal equations, or ``None`` where they are nearly singular."""
        gram = (self.centred * self.design.weight[:, None]).T @ self.centred
        gram += gram.trace() / gram.size
        try:
            factor = cho_factor(gram, lower=True)
        except LinAlgError:
            return None
        pivots = np.diag(factor[0])
        return factor if pivots.min() > 1e-4 * pivots.max() else None

    @cached_property
    def is_determined(self) -> bool:
        """Whether the pairs determine a value for every part."""
        return self._factor is not None or int(np.linalg.matrix_rank(self.centred)) == self.half.shape[1] - 1

    @cached_property
    def pseudo_inverse(self) -> Floats:
        """(pair, part): φ = Σ_pair pseudo_inverse · difference, the minimum-norm solution, which sums to 0."""
        if self._factor is not None:
            return np.asarray(cho_solve(self._factor, (self.centred * self.design.weight[:, None]).T).T)
        root = np.sqrt(self.design.weight)[:, None]
        return np.asarray((np.linalg.pinv(self.centred * root) * root[:, 0]).T)

    @cached_property
    def is_exhausted(self) -> Masks:
        """(pair,) whether the design has all pairs of the pair's size, so that the size has no sampling error."""
        count = np.bincount(self.design.stratum)[self.design.stratum]
        return np.asarray(count == self.design.population)

    @cached_property
    def degrees_of_freedom(self) -> int:
        """Number of pairs minus the n − 1 free values: the residual degrees of freedom."""
        return len(self.half) - (self.half.shape[1] - 1)

    def differences(self, values: Floats) -> Floats:
        """(row, pair): v(S) − v(S^c), minus an equal share of v(N) − v(∅) for each part."""
        parts = self.half.shape[1]
        gap = (values[:, 1] - values[:, 0])[:, None]
        return values[:, 2::2] - values[:, 3::2] - gap * (2 * self.half.sum(axis=1) - parts) / parts

    def solve(self, difference: Floats) -> tuple[Floats, Floats]:
        """φ without the equal share, and its variance, both (row, part).

        The variance is linearised and stratified by size, with the finite-population correction: it is exactly 0 where
        the design has every pair, and NaN where there are no residual degrees of freedom.
        """
        phi = difference @ self.pseudo_inverse
        residual = difference - phi @ self.centred.T
        variance = np.zeros_like(phi)
        freedom = len(self.half) / self.degrees_of_freedom if self.degrees_of_freedom > 0 else np.nan
        for layer in np.unique(self.design.stratum[~self.is_exhausted]):
            inside = self.design.stratum == layer
            count, total = int(inside.sum()), float(self.design.population[inside][0])
            spread = (residual[:, inside] ** 2) @ (self.pseudo_inverse[inside] ** 2)
            if count > 1:
                spread = spread - (residual[:, inside] @ self.pseudo_inverse[inside]) ** 2 / count
            variance += (1 - count / total) * count / max(count - 1, 1) * spread * freedom
        return phi, np.maximum(variance, 0.0)


def _linear(design: Design, values: Floats) -> Estimate:
    """Values by weighted least squares on complementary differences."""
    gap = (values[:, 1] - values[:, 0])[:, None]
    if design.masks.shape[1] == 1:
        return Estimate(gap, np.where(np.isnan(gap), np.nan, 0.0), values[:, 0])
    pairs = PairRegression(design)
    phi, variance = pairs.solve(pairs.differences(values))
    return Estimate(phi + gap / design.masks.shape[1], np.sqrt(variance), values[:, 0])


paired_leverage = Estimator("paired leverage", draw_pairs, _linear, allows_absent_parts=True)


def shapley_estimator(parts: int, budget: int) -> Estimator:
    """The Shapley estimator for a budget: exact from all coalitions if they fit, else paired leverage sampling.

    Both are linear in the game.
    """
    return exact_shapley if is_enumerable(parts, budget) else paired_leverage
