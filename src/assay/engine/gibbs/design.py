# SPDX-License-Identifier: Apache-2.0
"""Which coalitions a Gibbs posterior is read from: all of them, else whole sizes and draws from the other sizes."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.engine.coalitions.estimator import MAX_COUNT, Design, all_masks, draw_distinct, is_enumerable

RATES = (0.1, 0.3, 0.5, 0.7)
"""Rates of the Bernoulli mixture whose distribution of sizes the draws have; the prior's rate is a fifth."""

MAX_LISTED = 20_000
"""Up to this many sets of one size are listed and shuffled; beyond it, sets are drawn until enough differ."""


@lru_cache(maxsize=64)  # a plan asks for the masks of a call several times
def posterior_design(parts: int, prior: float, budget: int, seed: Seed) -> Design:
    """All 2^n masks where they fit in ``budget``; else masks stratified by size, drawn without replacement.

    ``stratum`` is the size of a mask, ``population`` the number of masks of that size, ``weight`` the inverse of the
    share of them that is asked. Each size gets as many masks as a mixture of Bernoulli masks with rates .1, .3, .5, .7
    and ``prior`` has of it, at most all and at least two. So the smallest and the largest sets are all asked, and the
    sum over them has no sampling error. The empty and the full set are always among them.
    """
    if is_enumerable(parts, budget):
        masks = all_masks(parts)
        size = masks.sum(axis=1)
        return Design(masks, np.ones(len(masks)), size, _counts(parts)[size])
    if budget < 2 * parts:
        raise InputError(
            f"budget={budget}; {parts} parts need at least {2 * parts} masks, two of each size. Raise budget, or merge "
            f"parts (clusters)."
        )
    counts = _counts(parts)
    numbers = _allocate(counts, _sizes(parts, prior), budget)
    strata = [
        _draw_sets(parts, size, int(number), comb(parts, size), seed.child(size)) for size, number in enumerate(numbers)
    ]
    size = np.repeat(np.arange(parts + 1), numbers)
    return Design(np.concatenate(strata), (counts / numbers)[size], size, counts[size])


def _counts(parts: int) -> Floats:
    """The number of sets of each size, 0 … n."""
    return np.array([float(min(comb(parts, size), MAX_COUNT)) for size in range(parts + 1)])


def _sizes(parts: int, prior: float) -> Floats:
    """The distribution of sizes, 0 … n, of the mixture of Bernoulli masks."""
    sizes = np.arange(parts + 1)
    log_counts = np.array([np.log(float(comb(parts, int(size)))) for size in sizes])
    each = [np.exp(log_counts + sizes * np.log(r) + (parts - sizes) * np.log1p(-r)) for r in (*RATES, prior)]
    return np.asarray(np.mean(each, axis=0))


def _allocate(counts: Floats, share: Floats, budget: int) -> Ints:
    """Masks of each size: in proportion to ``share``, at most all and at least two, ``budget`` together at most."""
    least = np.minimum(counts, 2.0)

    def numbers(scale: float) -> Floats:
        return np.asarray(np.maximum(least, np.floor(np.minimum(counts, scale * share))))

    low, high = 0.0, float(budget)
    while numbers(high).sum() <= budget and high < 1e18:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if numbers(middle).sum() <= budget else (low, middle)
    return numbers(low).astype(np.int64)


def _draw_sets(parts: int, size: int, count: int, total: int, seed: Seed) -> Masks:
    """``count`` distinct sets of ``size`` parts, each as likely as another."""
    generator = seed.generator()
    if total <= MAX_LISTED:
        chosen = np.array(list(combinations(range(parts), size)), dtype=np.int64).reshape(total, size)
        masks = np.zeros((count, parts), dtype=bool)
        np.put_along_axis(masks, chosen[generator.permutation(total)[:count]], True, axis=1)
        return masks

    def draw(many: int) -> Masks:
        first = np.argpartition(generator.random((many, parts)), size - 1, axis=1)[:, :size]
        block = np.zeros((many, parts), dtype=bool)
        np.put_along_axis(block, first, True, axis=1)
        return block

    return draw_distinct(count, parts, draw)
