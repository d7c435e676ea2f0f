"""DP-SGD of logistic models in numpy, many at once, and the exact ε of the Gaussian mechanism."""

from __future__ import annotations

import numpy as np
from scipy import stats as scipy_stats
from scipy.optimize import brentq


def gaussian_delta(epsilon: float, mu: float) -> float:
    """The exact δ of μ-Gaussian differential privacy at ε (Balle and Wang 2018)."""
    normal = scipy_stats.norm
    return float(normal.cdf(mu / 2 - epsilon / mu) - np.exp(epsilon + normal.logcdf(-mu / 2 - epsilon / mu)))


def gaussian_epsilon(sigma: float, steps: int, delta: float) -> float:
    """The exact ε of ``steps`` full batches with noise of ``sigma`` clipping norms, for a row added or removed."""
    mu = np.sqrt(steps) / sigma
    return float(brentq(lambda epsilon: gaussian_delta(epsilon, mu) - delta, 0, 200))


def private_losses(
    audits: int, rows: int, columns: int, *, sigma: float, steps: int, share: float, clip: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Losses (audit, row) of rows of logistic models, and whether each row was trained on (audit, row).

    Each row of each audit is trained on with probability ½, and enters each batch with probability ``share``. Labels
    are coins and rows have length 1, so that only memory lowers a loss. One model an audit, all trained together; the
    step is 4 clipping norms over √steps, so that noise and signal are both seen.
    """
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(audits, rows, columns))
    x /= np.linalg.norm(x, axis=2, keepdims=True)
    y = generator.choice((-1.0, 1.0), (audits, rows))
    member = generator.random((audits, rows)) < 0.5
    weights = np.zeros((audits, columns))
    for _ in range(steps):
        margin = y * np.einsum("arc,ac->ar", x, weights)
        slope = -1 / (1 + np.exp(margin))  # the gradient of a row is slope · y · x, its norm |slope|
        slope *= np.minimum(1, clip / np.maximum(np.abs(slope), 1e-300))
        used = member & (generator.random((audits, rows)) < share)
        total = np.einsum("ar,arc->ac", slope * y * used, x)
        total += sigma * clip * generator.normal(size=total.shape)
        weights -= 4 / np.sqrt(steps) * total
    return np.logaddexp(0, -y * np.einsum("arc,ac->ar", x, weights)), member
