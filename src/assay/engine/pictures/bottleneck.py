# SPDX-License-Identifier: Apache-2.0
"""The information bottleneck at a layer: how many bits of each activation a decision needs (Schulz et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints
from assay.engine.adam import Adam

OPEN = 5.0
"""Where the search starts: λ = sigmoid(5) = 0.993, almost all of the activation passes."""

Slope = Callable[[Floats, Ints], Floats]
"""Activations (line, channel, *positions) of rows (line,) to the derivative of the loss."""


@dataclass(frozen=True)
class BottleneckOptions:
    """β, ``steps`` of Adam at ``rate`` with ``draws`` of the noise each, and the blur of λ in positions."""

    beta: float
    steps: int
    draws: int
    rate: float
    sigma: float

    def __post_init__(self) -> None:
        if self.steps < 1 or self.draws < 1 or not self.rate > 0 or not self.beta > 0 or self.sigma < 0:
            raise InputError(
                f"beta={self.beta}, steps={self.steps}, draws={self.draws}, rate={self.rate}, sigma={self.sigma}; "
                f"needed are beta > 0, steps ≥ 1, draws ≥ 1, rate > 0 and sigma ≥ 0."
            )


@dataclass(frozen=True, eq=False)
class Noise:
    """The normal noise that replaces an activation: its mean and standard deviation (channel, *positions)."""

    mean: Floats
    std: Floats

    @staticmethod
    def of(activations: Floats, floor: float) -> Noise:
        """Mean and deviation over rows, the deviation at least ``floor``: without it dead units have infinite bits."""
        if not floor > 0:
            raise InputError(f"floor={floor}; the smallest standard deviation of the noise must be above 0.")
        return Noise(activations.mean(axis=0), np.maximum(activations.std(axis=0), floor))


def divergence(share: Any, distance: Any) -> Any:
    """KL(N(λa + (1 − λ)μ, (1 − λ)²σ²) ‖ N(μ, σ²)) in nats, for λ = ``share`` and (a − μ) / σ = ``distance``.

    −log(1 − λ) + ((1 − λ)² + λ² distance² − 1) / 2, 0 where λ = 0; torch tensors.
    """
    import torch

    return -torch.log1p(-share) + ((1 - share) ** 2 + (share * distance) ** 2 - 1) / 2


def open_shares(
    activations: Floats, noise: Noise, slope: Slope, draw: Callable[[int], Floats], options: BottleneckOptions
) -> tuple[Floats, Floats]:
    """λ (row, channel, *positions), and the bits that pass at each element.

    Minimises, for each row, the mean over draws of loss(λa + (1 − λ)ε) plus β · mean KL, λ = sigmoid(α) blurred over
    positions, by Adam on α from 5. ``draw(step)`` gives standard normal noise (draw, row, channel, *positions);
    ``slope`` the derivative of the loss of each line.
    """
    import torch

    a, mean, std = (torch.as_tensor(np.asarray(one, np.float64)) for one in (activations, noise.mean, noise.std))
    distance, rows = (a - mean) / std, len(a)
    size = float(np.prod(activations.shape[1:]))
    which = np.tile(np.arange(rows), options.draws)
    alpha = torch.full_like(a, OPEN)
    adam = Adam()
    for number in range(options.steps):
        epsilon = mean + std * torch.as_tensor(draw(number))
        with torch.enable_grad():
            variables = alpha.detach().requires_grad_(True)
            share = _blurred(torch.sigmoid(variables), options.sigma)
            z = (share * a + (1 - share) * epsilon).flatten(0, 1)
            given = torch.as_tensor(slope(z.detach().numpy(), which))
            total = (z * given).sum() / options.draws + options.beta * divergence(_inner(share), distance).sum() / size
            descent = torch.autograd.grad(total, variables)[0]
        alpha = alpha - options.rate * adam.step(descent)
    share = _blurred(torch.sigmoid(alpha), options.sigma)
    bits = divergence(_inner(share), distance) / np.log(2)
    return np.asarray(share.numpy()), np.asarray(bits.numpy())


def _inner(share: Any) -> Any:
    """λ kept below 1, where the bits would be infinite."""
    return share.clamp(0.0, 1 - 1e-7)


def _blurred(share: Any, sigma: float) -> Any:
    """λ (row, channel, height, width) under a Gaussian blur with repeated borders; unchanged for ``sigma`` 0."""
    import torch

    if not sigma:
        return share
    reach = int(np.ceil(2 * sigma))
    weights = torch.exp(-(torch.arange(-reach, reach + 1, dtype=share.dtype) ** 2) / (2 * sigma**2))
    weights = weights / weights.sum()
    flat = share.reshape(-1, 1, *share.shape[2:])
    padded = torch.nn.functional.pad(flat, (reach,) * 4, mode="replicate")
    down = torch.nn.functional.conv2d(padded, weights.reshape(1, 1, -1, 1))
    return torch.nn.functional.conv2d(down, weights.reshape(1, 1, 1, -1)).reshape(share.shape)
