# SPDX-License-Identifier: Apache-2.0
"""Fractional contributions of features, and their entropy; each row separately, without changing the input arrays."""

from __future__ import annotations

import numpy as np

from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.engine.coalitions.masks import present_parts
from assay.nouns.results.result import Explanation


def fractional_contributions(explanation: Explanation, case: Case) -> Floats:
    """|φ_i| / Σ|φ| (row, part); 0 for features that a row lacks, NaN for a row whose values are all 0."""
    size = np.where(present_parts(case), np.abs(explanation.values), 0.0)
    total = size.sum(axis=1, keepdims=True)
    return np.divide(size, total, out=np.full(size.shape, np.nan), where=total > 0)


def entropy_in_nats(share: Floats) -> PerRow:
    """Shannon entropy −Σ p ln p (row,) of shares (row, part), with 0 ln 0 = 0; at least 0."""
    logs = np.log(share, out=np.zeros(share.shape), where=share > 0)
    entropy = -(share * logs).sum(axis=1)
    return np.maximum(entropy, 0.0)  # a single feature gives −0
