# SPDX-License-Identifier: Apache-2.0
"""Sets of features that contain given ones and up to so many more: their number, all of them, or uniform draws."""

from __future__ import annotations

from itertools import combinations
from typing import Literal

import numpy as np
from scipy.special import gammaln

from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks

Sampling = Literal["ball", "shell"]
"""Sets that add at most ``radius`` features (ball), or exactly so many, or all there are (shell)."""


def count_supersets(free: int, radius: int, sampling: Sampling = "ball") -> float:
    """The number of sets that add features out of ``free``; infinite beyond the range of floats."""
    logs = _logs(free, radius)
    with np.errstate(over="ignore"):
        return float(np.round(np.exp(logs if sampling == "ball" else logs[-1:])).sum())


def enumerate_supersets(chosen: Masks, free: Masks, radius: int, sampling: Sampling = "ball") -> Masks:
    """All sets (set, part), each once."""
    indices = np.flatnonzero(free)
    most = min(radius, len(indices))
    masks = []
    for size in range(0 if sampling == "ball" else most, most + 1):
        for added in combinations(indices.tolist(), size):
            mask = chosen.copy()
            mask[list(added)] = True
            masks.append(mask)
    return np.stack(masks)


def draw_supersets(
    chosen: Masks, free: Masks, radius: int, draws: int, seed: Seed, sampling: Sampling = "ball"
) -> Masks:
    """Sets (set, part) drawn uniformly: first the number of added parts, then the parts."""
    generator = seed.generator()
    logs = _logs(int(free.sum()), radius)
    shares = np.cumsum(np.exp(logs - logs.max()))
    added: Ints = np.searchsorted(shares, generator.random(draws) * shares[-1], side="right")
    if sampling == "shell":
        added = np.full(draws, len(logs) - 1)
    keys = np.where(free, generator.random((draws, len(free))), np.inf)
    return np.asarray(chosen | (keys.argsort(axis=1).argsort(axis=1) < added[:, None]))


def _logs(free: int, radius: int) -> Floats:
    """log C(free, j) for j = 0 … min(radius, free): the log number of sets that add j parts."""
    added = np.arange(min(radius, free) + 1)
    return np.asarray(gammaln(free + 1) - gammaln(added + 1) - gammaln(free - added + 1))
