# SPDX-License-Identifier: Apache-2.0
"""One-sided exact limits of rates."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import beta

from assay.basics.types import Floats


def lower_rate_limits(hits: Any, trials: int, miss: float) -> Floats:
    """Lower Clopper–Pearson limits of rates from ``hits`` (…) in ``trials``: too high with probability ≤ ``miss``."""
    found = np.asarray(hits)
    return np.where(found > 0, beta.ppf(miss, np.maximum(found, 1), trials - found + 1), 0.0)


def bracketed_rate_limits(hits: Any, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Limits of a rate of which only a lower and an upper bound were seen, ``hits`` (2,) of the same ``trials``.

    The lower Clopper–Pearson limit of the first rate and the upper one of the second, each exceeded with probability
    at most (1 − level) / 2: the rate between them lies within both with probability at least ``level``.
    """
    least, most = (int(one) for one in hits)
    tail, trials = (1 - level) / 2, int(trials)
    low = 0.0 if least == 0 else float(beta.ppf(tail, least, trials - least + 1))
    return low, 1.0 if most == trials else float(beta.ppf(1 - tail, most + 1, trials - most))
