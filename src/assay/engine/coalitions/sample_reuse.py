# SPDX-License-Identifier: Apache-2.0
"""Banzhaf values from complementary pairs, every pair reused for every part."""

from __future__ import annotations

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats
from assay.engine.coalitions.summary import BEYOND, ENUMERABLE, Design, Summary, distinct, enumerated, exact_banzhaf
from assay.nouns.results.result import Estimate


def _complements(parts: int, budget: int, seed: Seed) -> Design:
    """Pairs of a uniformly drawn mask that keeps the first part and its complement, without replacement.

    A larger budget begins with the same pairs.
    """
    total = 2 ** (parts - 1)
    pairs = min(budget // 2, total)
    if pairs < 2:
        raise InputError(
            f"budget={budget} pays for {max(pairs, 0)} pairs of coalitions; two (4 evaluations) are needed for a "
            f"standard error."
        )
    generator = seed.generator()
    if parts <= ENUMERABLE:
        numbers = generator.permutation(total)[:pairs]
        rest = (numbers[:, None] >> np.arange(parts - 1) & 1).astype(bool)
    else:
        rest = distinct(pairs, parts - 1, lambda many: generator.random((many, parts - 1)) < 0.5)
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


def affordable_banzhaf(parts: int, budget: int) -> Summary:
    """All coalitions where ``budget`` pays for them, else complementary pairs."""
    return exact_banzhaf if enumerated(parts, budget) else sample_reuse
