# SPDX-License-Identifier: Apache-2.0
"""Shapley values from antithetic pairs of random orders."""

from __future__ import annotations

import numpy as np

from assay.engine.summary import Design, Summary
from assay.nouns.result import Estimate
from assay.words.errors import InputError
from assay.words.seed import Seed
from assay.words.types import Floats


def _permutations(parts: int, budget: int, seed: Seed) -> Design:
    """Antithetic pairs of permutations as chains of growing coalitions; the ends are shared by all chains.

    A larger budget begins with the same orders.
    """
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
