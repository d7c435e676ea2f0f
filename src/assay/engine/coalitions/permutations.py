# SPDX-License-Identifier: Apache-2.0
"""Random orders in which parts join: chains of growing coalitions, and what each part gains when it joins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.engine.coalitions.summary import Design, Summary
from assay.nouns.results.result import Estimate


def antithetic(
    parts: int, budget: int, seed: Seed, order: Callable[[np.random.Generator], Ints] | None = None
) -> Masks:
    """Chains (order, step, part) of random orders, each followed by its reverse; the ends are shared by all chains.

    ``order`` draws one order of the parts, any of them unless given. A larger budget begins with the same orders.
    """
    pairs = (budget - 2) // (2 * (parts - 1)) if parts > 1 else 2
    if pairs < 2:
        raise InputError(
            f"budget={budget} pays for {max(pairs, 0)} antithetic pairs of orders of {parts} parts; two (that is "
            f"{4 * (parts - 1) + 2} evaluations) are needed for a standard error."
        )
    generator, chains = seed.generator(), []
    for _ in range(pairs):
        drawn = generator.permutation(parts) if order is None else order(generator)
        for way in (drawn, drawn[::-1]):
            chains.append(np.argsort(way)[None, :] < np.arange(parts + 1)[:, None])
    return np.stack(chains)


def paired_gains(chains: Masks, values: Floats) -> Floats:
    """Each part's gain when it joins, mean of an order and its reverse: (row, pair, part), from values (row, mask)."""
    ways, steps, parts = chains.shape
    gains = np.diff(values.reshape(len(values), ways, steps), axis=2)
    joined = (chains[:, 1:] & ~chains[:, :-1]).argmax(axis=2)  # which part joins at the step
    each = np.empty_like(gains)
    np.put_along_axis(each, np.broadcast_to(joined, gains.shape), gains, axis=2)
    return np.asarray(each.reshape(len(values), -1, 2, parts).mean(axis=2))


def mean_gains(chains: Masks, values: Floats) -> Estimate:
    """Mean gain of a part, with its standard error over pairs of orders; the base is v(∅)."""
    paired = paired_gains(chains, values)
    stderr = paired.std(axis=1, ddof=1) / np.sqrt(paired.shape[1])
    return Estimate(paired.mean(axis=1), stderr, values[:, 0])


def _design(parts: int, budget: int, seed: Seed) -> Design:
    return Design(antithetic(parts, budget, seed).reshape(-1, parts))


def _estimate(design: Design, values: Floats) -> Estimate:
    parts = design.masks.shape[1]
    return mean_gains(design.masks.reshape(-1, parts + 1, parts), values)


permutations = Summary("permutations", _design, _estimate)
