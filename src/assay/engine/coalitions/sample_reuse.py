# SPDX-License-Identifier: Apache-2.0
"""Maximum sample reuse: Banzhaf values from complementary pairs, where every pair is used for every part."""

from __future__ import annotations

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats
from assay.engine.coalitions.estimator import (
    ENUMERABLE,
    MAX_COUNT,
    Design,
    Estimator,
    draw_distinct,
    exact_banzhaf,
    is_enumerable,
)
from assay.nouns.results.result import Estimate


def _complements(parts: int, budget: int, seed: Seed) -> Design:
    """Complementary pairs drawn uniformly without replacement; the first mask of each keeps the first part.

    A larger budget starts with the pairs of a smaller one.
    """
    total = 2 ** (parts - 1)
    pairs = min(budget // 2, total)
    if pairs < 2:
        raise InputError(
            f"budget={budget} pays for {max(pairs, 0)} pairs of coalitions; a standard error needs two pairs (4 "
            f"evaluations)."
        )
    generator = seed.generator()
    if parts <= ENUMERABLE:
        numbers = generator.permutation(total)[:pairs]
        rest = (numbers[:, None] >> np.arange(parts - 1) & 1).astype(bool)
    else:
        rest = draw_distinct(pairs, parts - 1, lambda many: generator.random((many, parts - 1)) < 0.5)
    half = np.concatenate([np.ones((pairs, 1), dtype=bool), rest], axis=1)
    both = np.stack([half, ~half], axis=1).reshape(-1, parts)
    return Design(both, population=np.array([float(min(total, MAX_COUNT))]))


def _mean_differences(design: Design, values: Floats) -> Estimate:
    """Mean of v over masks with a part minus the mean over masks without it; every pair is used for every part.

    The standard error is over pairs, with the finite-population correction.
    """
    sign = np.where(design.masks[::2], 1.0, -1.0)
    difference = values[:, ::2] - values[:, 1::2]
    pairs = len(sign)
    mean = difference @ sign / pairs
    variance = ((difference**2).mean(axis=1)[:, None] - mean**2) * pairs / (pairs - 1)  # sign² = 1
    left = 1.0 - pairs / design.population[0]
    return Estimate(mean, np.sqrt(np.maximum(variance, 0.0) * left / pairs))


sample_reuse = Estimator("complements", _complements, _mean_differences, allows_absent_parts=True, has_base=False)


def banzhaf_estimator(parts: int, budget: int) -> Estimator:
    """The Banzhaf estimator for a budget: exact from all coalitions if they fit, else complementary pairs."""
    return exact_banzhaf if is_enumerable(parts, budget) else sample_reuse
