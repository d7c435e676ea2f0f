# SPDX-License-Identifier: Apache-2.0
"""Limits for the largest mean of several parts, of which only some are known to count."""

from __future__ import annotations

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.types import Floats, Masks


def largest_part_limits(values: Floats, shown: Masks, parts: int, level: float = 0.95) -> tuple[float, float]:
    """Limits of the largest of several means between 0 and 1, ``values`` (row, part).

    Low: the largest lower limit of the parts ``shown`` (part,) to count, 0 without any; high: the largest upper limit
    of all. Student's limits with one pseudo-value at each bound, Bonferroni-corrected for ``parts``, of which
    ``values`` holds those with the largest means. Without a part both limits are 0.
    """
    values = np.asarray(values, dtype=np.float64)
    if not values.shape[1]:
        return 0.0, 0.0
    padded = np.concatenate([values, np.zeros((1, values.shape[1])), np.ones((1, values.shape[1]))])
    count = len(padded)
    each = 1 - (1 - level) / max(1, int(parts))
    half = scipy_stats.t.ppf((1 + each) / 2, count - 1) * padded.std(axis=0, ddof=1) / np.sqrt(count)
    low, high = padded.mean(axis=0) - half, padded.mean(axis=0) + half
    known = low[np.asarray(shown, dtype=bool)]
    return float(np.clip(known.max(initial=0.0), 0, 1)), float(np.clip(high.max(), 0, 1))
