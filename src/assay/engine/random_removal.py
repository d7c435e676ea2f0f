# SPDX-License-Identifier: Apache-2.0
"""Random coalitions that no explanation chooses: every score, row and method of a case asks the same ones."""

from __future__ import annotations

from itertools import combinations
from math import ceil, comb

import numpy as np

from assay.cases.case import Case
from assay.engine.summary import Design, bernoulli
from assay.words.errors import InputError


def coin_flips(case: Case, draws: int) -> Design:
    """Coalitions that keep each part with probability ½: those of RISE, in the same order.

    All 2^n with equal weight, once ``draws`` pays for them.
    """
    if draws < 2:
        raise InputError(f"draws={draws}; at least 2 are needed.")
    flips = bernoulli(0.5)
    return flips.design(len(case.features), draws, case.seed.child("design", flips.name))


def without_share(case: Case, size: float, draws: int) -> Design:
    """Coalitions that lack ⌈size · n⌉ parts: all of them if ``draws`` pays for them, else drawn independently."""
    if not 0 < size < 1:
        raise InputError(f"size={size}; it is the share of parts taken away, above 0 and below 1.")
    if draws < 3:
        raise InputError(f"draws={draws}; at least 3 are needed.")
    parts = len(case.features)
    count = ceil(size * parts - 1e-9)
    affordable = comb(parts, count) <= draws
    if affordable:
        gone = np.array(list(combinations(range(parts), count)))
    else:
        generator = case.seed.child("design", f"without {count}").generator()
        gone = np.argsort(generator.random((draws, parts)), axis=1)[:, :count]
    keep = np.ones((len(gone), parts), dtype=bool)
    np.put_along_axis(keep, gone, False, axis=1)
    return Design(keep, np.full(len(keep), 1.0 / len(keep)), population=np.ones(1) if affordable else np.empty(0))


def complete(design: Design) -> bool:
    """Whether the coalitions are all there are, so that nothing is left to chance."""
    return len(design.population) > 0
