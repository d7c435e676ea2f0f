# SPDX-License-Identifier: Apache-2.0
"""The Gibbs posterior over sets of parts: weight prior × e^(β v), and everything read from one table of v.

Tables are (row, mask). With ``Design.weight`` the inverse of the share of each size that was asked, sums over the
table estimate sums over all masks; for a complete table the weights are 1 and the sums exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import xlogy

from assay.basics.types import Floats, Masks
from assay.engine.coalitions.estimator import Design

STEPS = 60
"""Bisections of log β, from a thousandth to a thousand of the inverse range of v."""

CURVE = 24
"""Points of the rate–fidelity curve."""

LEAST_SAMPLE, MOST_MISSED = 10.0, 10.0
"""The effective sample size below which, and the evidence possibly missed above which draws are worth nothing."""

LISTED = 16
"""Masks of the credible set that are stored."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """p(m) ∝ π^|m| (1 − π)^(n − |m|) e^(β v(m)) for each row, from a table v (row, mask) at the masks of a design.

    ``beta`` (row,) may be 0 (the prior; values are the limit) and infinite (the maximum of v; ties by prior).
    """

    design: Design
    table: Floats
    prior: float
    beta: Floats

    @cached_property
    def is_complete(self) -> bool:
        """Whether every mask is in the table."""
        return len(self.design.masks) == 2.0 ** self.design.masks.shape[1]

    @cached_property
    def log_prior(self) -> Floats:
        """Log prior (mask,)."""
        size = self.design.masks.sum(axis=1)
        return np.asarray(xlogy(size, self.prior) + (self.design.masks.shape[1] - size) * np.log1p(-self.prior))

    @cached_property
    def log_weight(self) -> Floats:
        """Log of prior × inverse share asked × e^(β v), (row, mask); at β = ∞ only the largest v count."""
        asked = self.log_prior + np.log(self.design.weight)
        finite = np.where(np.isinf(self.beta), 0.0, self.beta)[:, None]
        with np.errstate(invalid="ignore"):
            tilted = np.where(finite > 0, finite * self.table, 0.0) + asked
        top = self.table >= self.table.max(axis=1, keepdims=True)
        return np.where(np.isinf(self.beta)[:, None] & ~top, -np.inf, tilted)

    @cached_property
    def log_evidence(self) -> Floats:
        """Log Z = log E_prior[e^(β v)], (row,)."""
        return _log_sum(self.log_weight)

    @cached_property
    def share(self) -> Floats:
        """Probability (row, mask) that each mask of the table stands for; sums to 1."""
        return np.exp(self.log_weight - self.log_evidence[:, None])

    @cached_property
    def marginals(self) -> Floats:
        """P(m_i = 1), (row, part)."""
        return np.asarray(self.share @ self.design.masks)

    def values(self) -> Floats:
        """[logit P(m_i = 1) − logit π] / β, (row, part); the limits at β = 0 and β = ∞.

        Equal to [log E(e^(β v) | m_i = 1) − log E(e^(β v) | m_i = 0)] / β under the prior: at 0 a difference of means
        (the π-biased Banzhaf value), at ∞ a difference of maxima.
        """
        masks, found = self.design.masks, np.empty((len(self.table), self.design.masks.shape[1]))
        asked = np.exp(self.log_prior + np.log(self.design.weight))
        for part, held in enumerate(masks.T):
            sides = []
            for inside in (held, ~held):
                table, weight = self.table[:, inside], asked[inside] / asked[inside].sum()
                soft = np.where((self.beta > 0) & np.isfinite(self.beta), self.beta, 1.0)
                with np.errstate(divide="ignore", invalid="ignore"):
                    tilted = _log_sum(soft[:, None] * table + np.log(weight)) / soft
                    mean = table @ weight
                sides.append(np.where(self.beta == 0, mean, np.where(np.isinf(self.beta), table.max(axis=1), tilted)))
            with np.errstate(invalid="ignore"):
                found[:, part] = sides[0] - sides[1]
        return found

    def expect(self, numbers: Floats) -> Floats:
        """The posterior mean (row,) of numbers (row, mask); a mask of probability 0 counts nothing."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(self.share > 0, self.share * numbers, 0.0).sum(axis=1))

    def divergence(self) -> Floats:
        """KL(posterior ‖ prior) in nats, (row,): β E[v] − log Z; at β = ∞ −log of the prior mass of the maximum."""
        finite = np.where(np.isinf(self.beta), 0.0, self.beta)
        tilt = np.where(finite > 0, finite * self.expect(self.table), 0.0)
        return np.asarray(np.maximum(tilt - self.log_evidence, 0.0))

    def entropy(self) -> Floats:
        """Entropy of the posterior in nats, (row,): −E[log prior] − KL."""
        return np.asarray(np.maximum(-self.expect(np.broadcast_to(self.log_prior, self.table.shape)), 0.0)) - (
            self.divergence()
        )

    def stderr(self) -> Floats:
        """Standard error (row, part) of the values: the delta method, stratified by size, with finite populations.

        β counts as given. NaN at β = 0.
        """
        if self.is_complete:
            return np.zeros((len(self.table), self.design.masks.shape[1]))
        masks = self.design.masks
        asked = np.exp(self.log_prior + np.log(self.design.weight))
        with np.errstate(divide="ignore", invalid="ignore"):
            effect = _contrast(self.share, masks) - _contrast(asked[None], masks)
        total = np.zeros((len(self.table), masks.shape[1]))
        for size in np.unique(self.design.stratum):
            inside = self.design.stratum == size
            count, population = int(inside.sum()), float(self.design.population[inside][0])
            if count < population:  # a sum of count terms: its variance is count (1 − f) s²
                total += count * (1 - count / population) * effect[:, inside].var(axis=1, ddof=1)
        return np.asarray(np.sqrt(total) / np.where(self.beta > 0, self.beta, np.nan)[:, None])

    def effective_sample_size(self) -> Floats:
        """Z² / Σ (1 − f) ω² over the masks drawn (row,), f the share of the size that is asked; infinite if exact."""
        missing = 1 - 1 / self.design.weight
        spread = (self.share**2 * missing).sum(axis=1)
        return np.divide(1.0, spread, out=np.full(len(spread), np.inf), where=spread > 0)

    def possibly_missed(self) -> Floats:
        """What the draws cannot exclude to have missed, over the evidence, (row,): 0 for a complete table.

        Of c sets drawn of one size, none may be among a share up to 3/c of them (95 %, the rule of three). Were these
        worth the largest v seen, they would add this to Z. This is pessimistic: the error is mostly far smaller.
        """
        _, first, asked = np.unique(self.design.stratum, return_index=True, return_counts=True)
        population = self.design.population[first]
        drawn = asked < population
        with np.errstate(over="ignore"):
            log_share = np.log(np.minimum(3.0 / asked, 1.0)) + np.log(population) + self.log_prior[first]
            top = np.where(self.beta > 0, self.beta, 0.0) * self.table.max(axis=1)
            missed = np.exp(log_share[drawn][None] + (top - self.log_evidence)[:, None])
        return np.asarray(missed.sum(axis=1))

    @property
    def is_usable(self) -> Masks:
        """Whether the draws are worth something (row,): 10 effective ones or more that can have missed 10 Z or less."""
        return np.asarray((self.effective_sample_size() >= LEAST_SAMPLE) & (self.possibly_missed() <= MOST_MISSED))

    def bounds(self, ceiling: float | None) -> tuple[Floats, Floats]:
        """Certified limits (row, part) of P(m_i = 1), whatever the masks that were not asked give.

        v ≤ ``ceiling`` everywhere; NaN where that is ``None``. With A_i the evidence seen with part i, Z_s all that is
        seen, and U, U_i the prior mass not seen (with part i) times e^(β ceiling):
        A_i/(Z_s + U − U_i) ≤ P ≤ (A_i + U_i)/(Z_s + U_i).
        """
        masks, seen = self.design.masks, np.exp(self.log_prior)
        if self.is_complete:
            return self.marginals, self.marginals
        if ceiling is None:
            return np.full_like(self.marginals, np.nan), np.full_like(self.marginals, np.nan)
        tilted = self.log_weight - np.log(self.design.weight) - (self.beta * ceiling)[:, None]
        own = np.exp(tilted)  # at most the prior
        with_part, everything = own @ masks, own.sum(axis=1)[:, None]
        slack = 1e-15 * len(masks)  # rounding of the sums of the prior
        unseen = max(1 - float(seen.sum()), 0.0) + slack
        unseen_with = np.minimum(np.maximum(self.prior - seen @ masks, 0.0) + slack, unseen)
        low = with_part / (everything + unseen - unseen_with)
        high = (with_part + unseen_with) / (everything + unseen_with)
        return low, np.minimum(high, 1.0)

    def credible_set(self, level: float = 0.95) -> tuple[Floats, Floats, Floats]:
        """The fewest masks with this probability: masks (row, 16, part), probabilities (row, 16), their number (row,).

        Beyond the set, and where it has fewer masks, NaN. Of a sampled table the masks asked are listed, with
        estimated probabilities, and the number is NaN.
        """
        rows, parts = len(self.table), self.design.masks.shape[1]
        single = np.exp(self.log_weight - np.log(self.design.weight) - self.log_evidence[:, None])
        order = np.argsort(-single, axis=1, kind="stable")
        chances = np.take_along_axis(single, order, axis=1)
        before = np.cumsum(chances, axis=1) - chances
        number = (before < level - 1e-12).sum(axis=1)
        masks, listed = np.full((rows, LISTED, parts), np.nan), np.full((rows, LISTED), np.nan)
        top = min(LISTED, order.shape[1])
        inside = np.arange(top)[None] < number[:, None]
        listed[:, :top] = np.where(inside, chances[:, :top], np.nan)
        masks[:, :top] = np.where(inside[..., None], self.design.masks[order[:, :top]], np.nan)
        return masks, listed, number.astype(np.float64) if self.is_complete else np.full(rows, np.nan)


def _log_sum(logs: Floats) -> Floats:
    """Log of the sum of e^logs over masks, (row,); −∞ where all are −∞."""
    top = logs.max(axis=1)
    finite = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(finite + np.log(np.exp(logs - finite[:, None]).sum(axis=1)))


def _contrast(share: Floats, masks: Masks) -> Floats:
    """Shares (row, mask) among the masks with a part minus those among the masks without it, (row, mask, part)."""
    inside = share @ masks
    outside = share @ ~masks
    return np.where(masks, share[:, :, None] / inside[:, None], -share[:, :, None] / outside[:, None])


def fidelity_of(posterior: Posterior, *, of_probability: bool) -> Floats:
    """E[p]/p(x) for v = log p (``of_probability``); else the share of v(x) − v(∅) that E[v] has. NaN without a rise."""
    return posterior.expect(_kept(posterior, of_probability=of_probability))


def _kept(posterior: Posterior, *, of_probability: bool) -> Floats:
    """What each mask (row, mask) keeps of the row's own value, whose posterior mean is the fidelity."""
    table, masks = posterior.table, posterior.design.masks
    full, empty = (int(np.flatnonzero(ends)[0]) for ends in (masks.all(axis=1), ~masks.any(axis=1)))
    if of_probability:
        return np.asarray(np.exp(table - table[:, [full]]))
    rise = table[:, [full]] - table[:, [empty]]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(rise > 0, (table - table[:, [empty]]) / rise, np.nan)


def inverse_range(table: Floats) -> Floats:
    """1 / (largest − smallest finite v), (row,); 1 where v is constant."""
    finite = np.isfinite(table)
    span = np.max(np.where(finite, table, -np.inf), axis=1) - np.min(np.where(finite, table, np.inf), axis=1)
    return np.where((span > 0) & np.isfinite(span), 1 / np.where(span > 0, span, 1.0), 1.0)


def choose_beta(posterior: Posterior, goal: float, *, of_probability: bool) -> Floats:
    """The smallest β (row,) whose fidelity is at least ``goal``, by bisection: fidelity never falls as β rises.

    Between 10⁻³ and 10³ over the range of v: the smallest where it suffices (a constant v), the largest if none does.
    """
    unit = inverse_range(posterior.table)
    low, high = np.full(len(unit), np.log(1e-3)), np.full(len(unit), np.log(1e3))
    kept = _kept(posterior, of_probability=of_probability)
    asked = posterior.log_prior + np.log(posterior.design.weight)
    below = posterior.table - posterior.table.max(axis=1, keepdims=True)

    def suffices(at: Floats) -> Masks:
        logs = (np.exp(at) * unit)[:, None] * below + asked
        weight = np.exp(logs - logs.max(axis=1, keepdims=True))
        with np.errstate(invalid="ignore"):
            found = np.where(weight > 0, weight * kept, 0.0).sum(axis=1) / weight.sum(axis=1)
        return np.asarray(~(found < goal))

    reached = suffices(low)
    for _ in range(STEPS):
        middle = (low + high) / 2
        enough = suffices(middle)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(reached, 1e-3, np.exp(high)) * unit


def rate_fidelity(posterior: Posterior, *, of_probability: bool) -> Floats:
    """The curve (row, point, 3) of β, bits KL(posterior ‖ prior)/ln 2, and fidelity, as β goes from little to much."""
    unit = inverse_range(posterior.table)
    points = []
    for scale in np.geomspace(1e-2, 1e2, CURVE):
        at = replace(posterior, beta=scale * unit)
        points.append(
            np.stack([at.beta, at.divergence() / np.log(2), fidelity_of(at, of_probability=of_probability)], axis=1)
        )
    return np.stack(points, axis=1)


def total_variation(one: Posterior, other: Posterior) -> Floats:
    """Half the sum of |p − q| over the masks of one design, (row,): 0 the same posterior, 1 disjoint."""
    return np.asarray(0.5 * np.abs(one.share - other.share).sum(axis=1))
