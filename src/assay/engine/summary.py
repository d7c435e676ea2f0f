# SPDX-License-Identifier: Apache-2.0
"""Linear summaries of a game: which coalitions to ask, and what to make of the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from scipy.special import gammaln

from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.nouns.result import Estimate
from assay.words.errors import InputError
from assay.words.seed import Seed
from assay.words.types import Floats, Ints, Masks

ENUMERABLE = 20
"""Up to this many parts all coalitions may be listed (1,048,576 at 20)."""
BEYOND = 2**1000
"""Counts of coalitions stop here, short of what a float can hold."""


@dataclass(frozen=True)
class Design:
    """Coalitions to ask, with what the estimate needs to know of how they were chosen.

    ``weight`` (mask,) is the mask's weight in the estimate; ``stratum`` and ``population`` (mask,) say from which
    layer it was drawn without replacement and how many the layer holds.
    """

    masks: Masks
    weight: Floats = field(default_factory=lambda: np.empty(0))
    stratum: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    population: Floats = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class Summary:
    """A pair: which masks to ask (parts, budget, seed), and what to make of values (row, mask).

    ``partial`` says that the estimate can also be made over some of the parts only, those that a row has.
    """

    name: str
    design: Callable[[int, int, Seed], Design]
    estimate: Callable[[Design, Floats], Estimate]
    partial: bool = False


def enumerated(parts: int, budget: int) -> bool:
    """Whether all 2^parts coalitions fit in ``budget``."""
    return parts <= ENUMERABLE and 2**parts <= budget


def removal(case: Case, remove: Removal, summary: Summary, budget: int = 0) -> Estimate:
    """Ask the game at the summary's masks and summarise: one design serves all rows, named after itself."""
    design = summary.design(len(case.features), budget, case.seed.child("design", summary.name))
    values = case.game(remove).table(design.masks)
    present = np.broadcast_to(case.features.sizes > 0, (len(case), len(case.features)))
    if present.all() or not summary.partial:
        return summary.estimate(design, values)
    return _over_present(summary, design, values, present)


def _over_present(summary: Summary, design: Design, values: Floats, present: Masks) -> Estimate:
    """The estimate over the parts each row has; those it lacks (superpixels) get exactly 0."""
    filled, stderr, base = np.zeros(present.shape), np.zeros(present.shape), np.full(len(values), np.nan)
    extra: dict[str, Floats] = {}
    for pattern in np.unique(present, axis=0):
        rows = np.flatnonzero((present == pattern).all(axis=1))
        some = summary.estimate(replace(design, masks=design.masks[:, pattern]), values[rows])
        filled[np.ix_(rows, np.flatnonzero(pattern))] = some.values
        stderr[np.ix_(rows, np.flatnonzero(pattern))] = some.stderr
        base[rows] = np.nan if some.base is None else some.base
        for name, numbers in some.extra.items():
            extra.setdefault(name, np.full(len(values), np.nan))[rows] = numbers
    return Estimate(filled, stderr, base, extra=extra)


def all_masks(parts: int) -> Masks:
    """Every coalition, (2^parts, part), in binary counting order: the first part is the lowest bit."""
    if parts > ENUMERABLE:
        raise InputError(
            f"{parts} parts have 2^{parts} coalitions; listing them is offered up to {ENUMERABLE}. Sample, or "
            f"group parts."
        )
    return (np.arange(2**parts)[:, None] >> np.arange(parts) & 1).astype(bool)


def _exactly(parts: int, budget: int, seed: Seed) -> Design:
    return Design(all_masks(parts))


def _shapley(design: Design, values: Floats) -> Estimate:
    masks, parts = design.masks, design.masks.shape[1]
    size = masks.sum(axis=1)
    # φ_i = Σ_{S∌i} |S|! (n−|S|−1)! / n! · (v(S∪i) − v(S)); entering S∪i weighs (|S∪i|−1)!(n−|S∪i|)!/n!
    joining = np.exp(gammaln(np.maximum(size, 1)) + gammaln(parts - size + 1) - gammaln(parts + 1))
    leaving = np.exp(gammaln(size + 1) + gammaln(np.maximum(parts - size, 1)) - gammaln(parts + 1))
    weights = np.where(masks, joining[:, None], -leaving[:, None])
    return Estimate(values @ weights, np.zeros((len(values), parts)), values[:, 0])


def _banzhaf(design: Design, values: Floats) -> Estimate:
    weights = np.where(design.masks, 1.0, -1.0) / 2.0 ** (design.masks.shape[1] - 1)
    return Estimate(values @ weights, np.zeros((len(values), design.masks.shape[1])))


exact_shapley = Summary("exact", _exactly, _shapley)
exact_banzhaf = Summary("exact", _exactly, _banzhaf)


def _paired(parts: int, budget: int, seed: Seed) -> Design:
    """Empty and full set, then complementary pairs: sizes equally often, sets of a size without replacement.

    The chance of a set is its leverage score, 1 / C(n, |S|) up to a constant (Musco and Witter 2025); a size whose
    sets are all used gives its share to the others.
    """
    sizes = np.arange(1, parts // 2 + 1)
    held = np.array([comb(parts, int(s)) // (2 if 2 * s == parts else 1) for s in sizes], dtype=object)
    pairs = min((budget - 2) // 2, int(sum(held)))
    if parts == 1 and budget >= 2:
        return Design(all_masks(1))
    if pairs < parts - 1:
        raise InputError(
            f"budget={budget} leaves {max(pairs, 0)} pairs of coalitions for {parts} parts; at least "
            f"{2 * (parts - 1) + 2} evaluations determine the values. Raise budget, or group parts."
        )
    share = np.where(2 * sizes == parts, 0.5, 1.0)
    taken = _allotted(pairs, held, share)
    generator = seed.generator()
    masks, weight, stratum, population = [], [], [], []
    for size, count, total in zip(sizes, taken, held):
        drawn = _sets(parts, int(size), int(count), int(total), generator)
        masks.append(drawn)
        # kernel weight (n − 1) / (C(n, s) s (n − s)) of all pairs of the size, spread over those that stand for them
        kernel = (parts - 1) / (int(size) * (parts - int(size))) * (0.5 if 2 * size == parts else 1.0)
        weight.append(np.full(len(drawn), kernel / max(len(drawn), 1)))
        stratum.append(np.full(len(drawn), size))
        population.append(np.full(len(drawn), float(min(total, BEYOND))))
    half = np.concatenate(masks)
    if np.linalg.matrix_rank(half - half.mean(axis=1, keepdims=True)) < parts - 1:
        raise InputError(
            f"budget={budget}: the coalitions drawn do not determine {parts} values. Raise budget, or group parts."
        )
    ends = np.array([[False] * parts, [True] * parts])
    both = np.concatenate([ends, np.stack([half, ~half], axis=1).reshape(-1, parts)])
    return Design(both, np.concatenate(weight), np.concatenate(stratum), np.concatenate(population))


def _allotted(pairs: int, held: Any, share: Floats) -> Ints:
    """Pairs to each size: proportional to share, never more than it holds, at least one each where possible."""
    taken = np.zeros(len(held), dtype=np.int64)
    left = pairs
    while left > 0:
        open_ = np.array([t < h for t, h in zip(taken, held)])
        wanted = np.where(open_, share, 0.0) * left / share[open_].sum()
        room = [float(min(h - int(t), left)) for t, h in zip(taken, held)]
        step = np.minimum(np.floor(wanted), room).astype(np.int64)
        if step.sum() == 0:
            for position in np.argsort(-np.where(open_, wanted, -1.0), kind="stable")[: min(left, int(open_.sum()))]:
                step[position] += 1
        taken += step
        left -= int(step.sum())
    return taken


def _sets(parts: int, size: int, count: int, total: int, generator: np.random.Generator) -> Masks:
    """``count`` distinct sets of this size (of complementary halves one only), without replacement."""
    halves = 2 * size == parts
    if count == total:
        chosen = [c for c in combinations(range(parts), size) if not halves or 0 in c]
        masks = np.zeros((len(chosen), parts), dtype=bool)
        for mask, members in zip(masks, chosen):
            mask[list(members)] = True
        return masks

    def draw(many: int) -> Masks:
        order = np.argsort(generator.random((many, parts)), axis=1)
        block = np.zeros(order.shape, dtype=bool)
        np.put_along_axis(block, order[:, :size], True, axis=1)
        return np.where(halves & ~block[:, :1], ~block, block)

    return _distinct(count, parts, draw)


def _distinct(count: int, parts: int, draw: Callable[[int], Masks]) -> Masks:
    """The first ``count`` different masks of a stream of draws."""
    seen: dict[bytes, Masks] = {}
    while len(seen) < count:
        for mask in draw(2 * (count - len(seen)) + 8):
            if len(seen) < count:
                seen.setdefault(np.packbits(mask).tobytes(), mask)
    return np.stack(list(seen.values())) if seen else np.zeros((0, parts), dtype=bool)


def _leverage(design: Design, values: Floats) -> Estimate:
    """Weighted least squares on complementary differences, projected on Σφ = v(N) − v(∅).

    Standard errors: linearised, stratified by size, with the correction for sampling without replacement, so they
    are exactly 0 once every coalition has been asked; NaN where the pairs just determine the values and nothing is
    left to judge them by.
    """
    parts = design.masks.shape[1]
    empty, full = values[:, 0], values[:, 1]
    half = design.masks[2::2]
    size = half.sum(axis=1)
    if parts == 1:
        return Estimate((full - empty)[:, None], np.zeros((len(values), 1)), empty)
    gap = (full - empty)[:, None]
    difference = values[:, 2::2] - values[:, 3::2] - gap * (2 * size - parts) / parts
    centred = 2.0 * (half - size[:, None] / parts)  # P(z_S − z_{S^c})
    root = np.sqrt(design.weight)[:, None]
    pseudo = np.linalg.pinv(centred * root)  # the minimum-norm solution sums to 0
    phi = (root[:, 0] * difference) @ pseudo.T
    residual = difference - phi @ centred.T
    lever = (pseudo * root[:, 0]).T  # (pair, part): φ = Σ_pair lever · difference
    variance = np.zeros((len(values), parts))
    spare = len(half) - (parts - 1)
    freedom = len(half) / spare if spare > 0 else np.nan
    for layer in np.unique(design.stratum):
        inside = design.stratum == layer
        count, total = int(inside.sum()), float(design.population[inside][0])
        if count == total:
            continue
        moment = (residual[:, inside] ** 2) @ (lever[inside] ** 2)
        mean = residual[:, inside] @ lever[inside]
        spread = moment - mean**2 / count if count > 1 else moment
        variance += (1 - count / total) * count / max(count - 1, 1) * spread * freedom
    values_ = phi + gap / parts
    return Estimate(values_, np.sqrt(np.maximum(variance, 0.0)), empty)


paired_leverage = Summary("paired leverage", _paired, _leverage, partial=True)


def _permutations(parts: int, budget: int, seed: Seed) -> Design:
    """Antithetic pairs of permutations as chains of growing coalitions; the ends are shared by all chains."""
    pairs = (budget - 2) // (2 * (parts - 1)) if parts > 1 else 2
    if pairs < 2:
        raise InputError(
            f"budget={budget} pays for {max(pairs, 0)} antithetic pairs of permutations of {parts} parts; two (that is "
            f"{4 * (parts - 1) + 2} evaluations) are needed for a standard error."
        )
    generator = seed.generator()
    chains = []
    for _ in range(pairs):
        order = generator.permutation(parts)
        for way in (order, order[::-1]):
            place = np.argsort(way)
            chains.append(place[None, :] < np.arange(parts + 1)[:, None])
    return Design(np.concatenate(chains))


def _marginal_contributions(design: Design, values: Floats) -> Estimate:
    """Mean gain of a part when it joins; standard error over antithetic pairs."""
    parts = design.masks.shape[1]
    chains = design.masks.reshape(-1, parts + 1, parts)
    steps = values.reshape(len(values), len(chains), parts + 1)
    gains = np.diff(steps, axis=2)  # (row, chain, step)
    joined = (chains[:, 1:] & ~chains[:, :-1]).argmax(axis=2)  # which part joins at the step
    each = np.empty_like(gains)
    np.put_along_axis(each, np.broadcast_to(joined, gains.shape), gains, axis=2)
    paired = each.reshape(len(values), -1, 2, parts).mean(axis=2)
    count = paired.shape[1]
    return Estimate(paired.mean(axis=1), paired.std(axis=1, ddof=1) / np.sqrt(count), values[:, 0])


permutations = Summary("permutations", _permutations, _marginal_contributions)


def _complements(parts: int, budget: int, seed: Seed) -> Design:
    """Pairs of a uniformly drawn mask that keeps the first part and its complement, without replacement."""
    total = 2 ** (parts - 1)
    pairs = min(budget // 2, total)
    if pairs < 2:
        raise InputError(
            f"budget={budget} pays for {max(pairs, 0)} pairs of coalitions; two (4 evaluations) are needed for a "
            f"standard error."
        )
    generator = seed.generator()
    if parts <= ENUMERABLE:
        numbers = generator.choice(total, pairs, replace=False)
        rest = (numbers[:, None] >> np.arange(parts - 1) & 1).astype(bool)
    else:
        rest = _distinct(pairs, parts - 1, lambda many: generator.random((many, parts - 1)) < 0.5)
    half = np.concatenate([np.ones((pairs, 1), dtype=bool), rest], axis=1)
    both = np.stack([half, ~half], axis=1).reshape(-1, parts)
    return Design(both, population=np.array([float(min(total, BEYOND))]))


def _reused(design: Design, values: Floats) -> Estimate:
    """Mean of v over masks with a part minus mean over masks without it: every pair serves every part.

    Standard error over pairs, corrected for sampling without replacement.
    """
    sign = np.where(design.masks[::2], 1.0, -1.0)
    difference = values[:, ::2] - values[:, 1::2]
    pairs = len(sign)
    mean = difference @ sign / pairs
    variance = ((difference**2).mean(axis=1)[:, None] - mean**2) * pairs / (pairs - 1)  # sign² = 1
    left = 1.0 - pairs / design.population[0]
    return Estimate(mean, np.sqrt(np.maximum(variance, 0.0) * left / pairs))


sample_reuse = Summary("complements", _complements, _reused, partial=True)


def bernoulli(share: float) -> Summary:
    """RISE: keep each part with probability ``share``; a part's value is the mean of v over masks that keep it.

    Complementary information is not used, as in the paper: values are means of v, not differences, and carry v's level.
    With all 2^n coalitions in the budget they are enumerated and weighted by their probability: no sampling error.
    """
    if not 0 < share < 1:
        raise InputError(f"share={share}; the chance that a part is kept lies strictly between 0 and 1.")

    def design(parts: int, budget: int, seed: Seed) -> Design:
        if enumerated(parts, budget):
            masks = all_masks(parts)
            kept = masks.sum(axis=1)
            return Design(masks, share**kept * (1 - share) ** (parts - kept), population=np.ones(1))
        if budget < 2:
            raise InputError(f"budget={budget}; at least 2 masks are needed.")
        return Design(seed.generator().random((budget, parts)) < share, np.full(budget, 1.0 / budget))

    def estimate(design: Design, values: Floats) -> Estimate:
        weighted = design.masks * design.weight[:, None]
        mass = weighted.sum(axis=0)
        level = values.mean(axis=1, keepdims=True)

        def over_kept(numbers: Floats) -> Floats:
            """Mean over the masks that keep a part; NaN for a part that none keeps."""
            unknown = np.full((len(values), len(mass)), np.nan)
            return np.asarray(np.divide(numbers @ weighted, mass, out=unknown, where=mass > 0))

        mean = over_kept(values - level)
        if len(design.population):
            return Estimate(mean + level, np.zeros_like(mean))
        spread = np.maximum(over_kept((values - level) ** 2) - mean**2, 0.0)
        kept = design.masks.sum(axis=0)
        return Estimate(mean + level, np.sqrt(spread / np.where(kept > 1, kept - 1, np.nan)))

    return Summary(f"bernoulli {share:g}", design, estimate, partial=True)
