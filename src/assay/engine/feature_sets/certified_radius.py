# SPDX-License-Identifier: Apache-2.0
"""The radius that multiplicative smoothing certifies, from the scores of the smoothed model."""

from __future__ import annotations

import numpy as np

from assay.basics.types import Floats
from assay.model.transformations.frozen_masks import QuantisedMasks


def certified_radius(scores: Floats, noise: QuantisedMasks, votes: bool, *, ties: bool = False) -> Floats:
    """The largest integer r ≥ 0 (row,) with first − second > 2 · keep_count · r, of scores q · g (row, class).

    With ``ties`` the inequality is ≥: then a mask within r features may tie with the class, so that the radius does
    not certify it. Summed probabilities get a slack for rounding.
    """
    second, first = np.sort(scores, axis=1)[:, -2:].T
    slack = 0.0 if votes else 1e-9 * noise.q
    steps = (first - second - slack) / (2 * noise.keep_count)
    return np.maximum(0.0, np.floor(steps) if ties else np.ceil(steps) - 1.0)
