"""Small models to make cases of: a net, a function, and an estimator fitted to a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from tests.cases import nets

import assay

X = np.random.default_rng(0).normal(size=(6, 4))


def classifier(**options: Any) -> assay.Model:
    return assay.model.torch(nets.small(), classes=("ape", "bee", "cat"), **options)


def voter(x: Any) -> np.ndarray:
    """Three class scores from plain arithmetic."""
    x = np.asarray(x, dtype=float)
    return np.stack([x.sum(axis=1), x[:, 0], -x[:, 1]], axis=1)


def voting(**options: Any) -> assay.Model:
    return assay.model.function(voter, gives="logits", **options)


def fitted() -> tuple[assay.Model, pd.DataFrame]:
    frame = pd.DataFrame(X, columns=list("abcd"))
    return assay.wrap(LogisticRegression().fit(frame, (X[:, 0] + 2 * X[:, 3] > 0).astype(int))), frame
