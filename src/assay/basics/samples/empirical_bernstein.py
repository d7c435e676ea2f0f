# SPDX-License-Identifier: Apache-2.0
"""The empirical Bernstein interval for the mean of bounded draws."""

from __future__ import annotations

import numpy as np

from assay.basics.stats import Interval
from assay.basics.types import Floats


def empirical_bernstein(values: Floats, level: float = 0.95) -> Interval:
    """Interval for the mean of independent draws in [0, 1] (Maurer and Pontil 2009), valid for every distribution.

    mean ± (√(2 V ln(2/η) / n) + 7 ln(2/η) / (3 (n − 1))) with the sample variance V and η = (1 − level)/2 for each
    side. It is narrower than Hoeffding's where the draws vary little. Fewer than two draws leave [0, 1].
    """
    count = len(values)
    if count < 2:
        return Interval(0.0, 1.0, level, "empirical-bernstein")
    log = np.log(2 / ((1 - level) / 2))
    half = np.sqrt(2 * values.var(ddof=1) * log / count) + 7 * log / (3 * (count - 1))
    mean = float(values.mean())
    return Interval(max(0.0, mean - float(half)), min(1.0, mean + float(half)), level, "empirical-bernstein")
