# SPDX-License-Identifier: Apache-2.0
"""Rows like records of purchases: many binary columns in clusters, for attacks on privacy (after Purchase-100)."""

from __future__ import annotations

import numpy as np

from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints


def purchases(
    seed: Seed, rows: int, *, columns: int = 600, clusters: int = 100, typical: float = 0.15, noise: float = 0.15
) -> tuple[Floats, Ints]:
    """Rows (row, column) of 0 and 1, and the cluster of each, which is its class.

    Each cluster buys each column with a probability of its own, near 0 or near 1: the ``typical`` share of columns with
    1 − ``noise``, the others with ``noise``. With few rows a class, a net learns rows by heart.
    """
    generator = seed.child("purchases").generator()
    bought = generator.random((clusters, columns)) < typical
    chance = np.where(bought, 1 - noise, noise)
    labels = np.arange(rows) % clusters
    x = (generator.random((rows, columns)) < chance[labels]).astype(np.float64)
    order = generator.permutation(rows)
    return x[order], labels[order].astype(np.int64)
