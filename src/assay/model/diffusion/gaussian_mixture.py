# SPDX-License-Identifier: Apache-2.0
"""Gaussian mixtures, whose denoiser and conditional distributions are known in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Floats, Masks
from assay.model.diffusion.denoiser import Denoiser
from assay.model.diffusion.schedule import COSINE, Schedule


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """Σ_k w_k N(μ_k, Σ_k): ``weights`` (component,), ``means`` (component, element), ``covariances``.

    A diffusion that starts from it needs no training, and any in-fill can be compared with the true conditional.
    """

    weights: Floats
    means: Floats
    covariances: Floats

    def __post_init__(self) -> None:
        count, size = np.shape(self.means)
        if np.shape(self.weights) != (count,) or np.shape(self.covariances) != (count, size, size):
            raise InputError(
                f"a mixture of {count} components over {size} elements has weights {np.shape(self.weights)} and "
                f"covariances {np.shape(self.covariances)}; ({count},) and ({count}, {size}, {size}) are needed."
            )
        if (np.asarray(self.weights) < 0).any() or not math.isclose(float(np.sum(self.weights)), 1.0):
            raise InputError(f"weights {np.asarray(self.weights).tolist()} of a mixture are at least 0 and sum to 1.")

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the parameters."""
        return digest("gaussian mixture", self.weights, self.means, self.covariances)

    @property
    def mean(self) -> Floats:
        """The mean (element,)."""
        return np.asarray(self.weights @ self.means)

    @property
    def covariance(self) -> Floats:
        """The covariance (element, element), within components and between them."""
        apart = self.means - self.mean
        between = np.einsum("k,ki,kj->ij", self.weights, apart, apart)
        return np.asarray(np.einsum("k,kij->ij", self.weights, self.covariances) + between)

    def draw(self, count: int, seed: Seed) -> Floats:
        """``count`` independent draws (draw, element)."""
        stream = seed.child("mixture").generator()
        which = stream.choice(len(self.weights), count, p=self.weights)
        roots = np.linalg.cholesky(self.covariances)
        return np.asarray(
            self.means[which] + np.einsum("nij,nj->ni", roots[which], stream.normal(size=(count, len(self.mean))))
        )

    def conditional(self, x: Floats, keep: Masks) -> GaussianMixture:
        """The distribution of the elements without ``keep``, given those of ``x`` with it."""
        known, absent = np.flatnonzero(keep), np.flatnonzero(~keep)
        weights, means, covariances = [], [], []
        for weight, mean, sigma in zip(self.weights, self.means, self.covariances):
            within, across = sigma[np.ix_(known, known)], sigma[np.ix_(absent, known)]
            gap = x[known] - mean[known]
            solved = np.linalg.solve(within, np.column_stack([gap, across.T]))
            means.append(mean[absent] + across @ solved[:, 0])
            covariances.append(sigma[np.ix_(absent, absent)] - across @ solved[:, 1:])
            weights.append(np.log(weight) - 0.5 * (gap @ solved[:, 0] + np.linalg.slogdet(2 * np.pi * within)[1]))
        share = np.exp(np.array(weights) - max(weights))
        return GaussianMixture(share / share.sum(), np.array(means), np.array(covariances))

    def denoiser(self, schedule: Schedule = COSINE) -> Denoiser:
        """E[x₀ | x_t] = Σ_k r_k(x_t) [μ_k + √ā Σ_k (ā Σ_k + (1 − ā) I)⁻¹ (x_t − √ā μ_k)], exact, in float64.

        r_k is the posterior share of component k.
        """
        torch = need("torch", extra="torch")
        spread, axes = (torch.as_tensor(part) for part in np.linalg.eigh(self.covariances))
        means, logs = torch.as_tensor(np.asarray(self.means)), torch.as_tensor(np.log(self.weights))

        def clean(x: Any, t: float) -> Any:
            signal = schedule.signal(t)
            total = signal * spread + (1 - signal)
            turned = torch.einsum("nkj,kji->nki", x[:, None] - math.sqrt(signal) * means, axes)
            fits = logs - 0.5 * ((turned**2 / total).sum(2) + torch.log(total).sum(1))
            each = means + torch.einsum("nki,kji->nkj", turned * (math.sqrt(signal) * spread / total), axes)
            return (torch.softmax(fits, dim=1)[:, :, None] * each).sum(1)

        mark = digest(self.fingerprint, schedule.kind, schedule.table)
        return Denoiser(clean, (len(self.mean),), mark, schedule, dtype="float64", name="Gaussian mixture")
