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
