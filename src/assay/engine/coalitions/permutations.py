# SPDX-License-Identifier: Apache-2.0
"""Permutation sampling: random orders of the parts, and the marginal contribution of each part in an order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.engine.coalitions.estimator import Design, Estimator
from assay.nouns.results.result import Estimate


def draw_antithetic_orders(
    parts: int, budget: int, seed: Seed, order: Callable[[np.random.Generator], Ints] | None = None
) -> Masks:
    """Random orders, each followed by its reverse, as chains of growing coalitions (order, step, part).

    All chains share the empty and the full coalition. ``order`` draws one order of the parts; by default uniformly. A
    larger budget starts with the orders of a smaller one.
    """
    pairs = (budget - 2) // (2 * (parts - 1)) if parts > 1 else 2
    if pairs < 2:
        raise InputError(
            f"budget={budget} pays for {max(pairs, 0)} antithetic pairs of orders of {parts} features; a standard "
            f"error needs two pairs ({4 * (parts - 1) + 2} evaluations)."
        )
    generator, chains = seed.generator(), []
    for _ in range(pairs):
        forward = generator.permutation(parts) if order is None else order(generator)
        for direction in (forward, forward[::-1]):
            chains.append(np.argsort(direction)[None, :] < np.arange(parts + 1)[:, None])
    return np.stack(chains)


def paired_contributions(chains: Masks, values: Floats) -> Floats:
    """Marginal contributions (row, pair, part), each the mean of an order and its reverse, from values (row, mask)."""
    orders, steps, parts = chains.shape
    gains = np.diff(values.reshape(len(values), orders, steps), axis=2)
    joining = (chains[:, 1:] & ~chains[:, :-1]).argmax(axis=2)  # the part that joins at each step
    contributions = np.empty_like(gains)
    np.put_along_axis(contributions, np.broadcast_to(joining, gains.shape), gains, axis=2)
    return np.asarray(contributions.reshape(len(values), -1, 2, parts).mean(axis=2))


def mean_contributions(chains: Masks, values: Floats) -> Estimate:
    """Mean marginal contribution of each part, with its standard error over pairs of orders; the base is v(∅)."""
    paired = paired_contributions(chains, values)
    stderr = paired.std(axis=1, ddof=1) / np.sqrt(paired.shape[1])
    return Estimate(paired.mean(axis=1), stderr, values[:, 0])


def _design(parts: int, budget: int, seed: Seed) -> Design:
    return Design(draw_antithetic_orders(parts, budget, seed).reshape(-1, parts))


def _estimate(design: Design, values: Floats) -> Estimate:
    parts = design.masks.shape[1]
    return mean_contributions(design.masks.reshape(-1, parts + 1, parts), values)


permutations = Estimator("permutations", _design, _estimate)
