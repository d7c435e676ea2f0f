# SPDX-License-Identifier: Apache-2.0
"""Shares of attribution, and how they are spread over parts; each row by itself, the caller's arrays untouched."""

from __future__ import annotations

import numpy as np

from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.engine.coalitions.masks import present
from assay.nouns.results.result import Explanation


def shares(explanation: Explanation, case: Case) -> Floats:
    """|φ_i| / Σ|φ| (row, part); parts a row lacks get 0, and a row without any attribution NaN."""
    size = np.where(present(case), np.abs(explanation.values), 0.0)
    total = size.sum(axis=1, keepdims=True)
    return np.divide(size, total, out=np.full(size.shape, np.nan), where=total > 0)


def nats(share: Floats) -> PerRow:
    """−Σ p ln p (row,) of shares (row, part), with 0 ln 0 = 0; never below 0."""
    logs = np.log(share, out=np.zeros(share.shape), where=share > 0)
    entropy = -(share * logs).sum(axis=1)
    return np.maximum(entropy, 0.0)  # one part alone gives −0
