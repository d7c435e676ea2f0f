"""A Gaussian mixture in eight dimensions, its cases of in-fill, and how far draws are from the true conditional."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from assay.basics.seed import Seed
from assay.model.diffusion.gaussian_mixture import GaussianMixture
from assay.model.diffusion.infill import Method, infill

CASES = 8


def mixture(seed: int = 0, apart: float = 1.5, spread: float = 0.5) -> GaussianMixture:
    """Four components in eight dimensions; ``apart`` scales their means, ``spread`` their covariances."""
    stream = np.random.default_rng(seed)
    weights, means = stream.dirichlet(np.full(4, 5.0)), stream.normal(size=(4, 8)) * apart
    roots = stream.normal(size=(4, 8, 8))
    covariances = (roots @ roots.transpose(0, 2, 1) / 8 + 0.1 * np.eye(8)) * spread
    return GaussianMixture(weights, means, covariances)


def questions(mixed: GaussianMixture) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Points of the mixture and which three of their eight elements are present."""
    for number, x in enumerate(mixed.draw(CASES, Seed(5))):
        keep = np.zeros(8, dtype=bool)
        keep[np.random.default_rng(number).permutation(8)[:3]] = True
        yield x, keep


def drawn(
    mixed: GaussianMixture, x: Any, keep: Any, draws: int, method: Method, steps: int, repeats: int = 1
) -> np.ndarray:
    """The absent elements (draw, element) as the exact denoiser of the mixture fills them."""
    denoiser, stream = mixed.denoiser(), np.random.default_rng(7)
    filled = infill(
        denoiser, denoiser.tensor(x), denoiser.tensor(keep) > 0,
        lambda: denoiser.tensor(stream.normal(size=(draws, 8))), method=method, steps=steps, repeats=repeats,
    )  # fmt: skip
    return np.asarray(filled)[:, ~keep]


def squared_discrepancy(a: np.ndarray, b: np.ndarray) -> float:
    """The unbiased estimate of MMD² with a Gaussian kernel, whose squared width is the median squared distance."""
    both = np.concatenate([a, b])
    apart = ((both[:, None] - both[None]) ** 2).sum(-1)
    near = np.exp(-apart / np.median(apart[np.triu_indices(len(both), 1)]))
    n, m = len(a), len(b)
    within = (near[:n, :n].sum() - n) / (n * (n - 1)) + (near[n:, n:].sum() - m) / (m * (m - 1))
    return float(within - 2 * near[:n, n:].mean())


def errors(mixed: GaussianMixture, fill: Callable[..., np.ndarray], draws: int) -> tuple[np.ndarray, np.ndarray]:
    """For each case: the mean over elements of |mean − true mean| / true sd, and MMD² to exact draws."""
    found = []
    for x, keep in questions(mixed):
        truth, got = mixed.conditional(x, keep), fill(mixed, x, keep, draws)
        gap = np.abs(got.mean(axis=0) - truth.mean) / np.sqrt(np.diag(truth.covariance))
        found.append((gap.mean(), squared_discrepancy(got, truth.draw(draws, Seed(9)))))
    return tuple(np.array(found).T)  # type: ignore[return-value]  # two columns are two arrays
