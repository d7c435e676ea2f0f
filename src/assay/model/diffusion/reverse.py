# SPDX-License-Identifier: Apache-2.0
"""The deterministic reverse process: a denoiser, iterated, turns noise into data (DDIM, Song et al. 2021)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Floats
from assay.model.diffusion.denoiser import Denoiser
from assay.nouns.inputs.rows import to_floats


def step_back(x: Any, clean: Any, signal: float, target: float) -> Any:
    """One step from the share ``signal`` of the variance to ``target``: √ā_s x̂₀ + √(1 − ā_s) ε̂, with the same ε̂."""
    return math.sqrt(target) * clean + math.sqrt((1 - target) / (1 - signal)) * (x - math.sqrt(signal) * clean)


def denoise(denoiser: Denoiser, x: Any, times: Floats) -> Any:
    """``x`` (draw, *shape) at ``times[0]`` taken to ``times[-1]``, one call of the denoiser a step; differentiable."""
    for t, s in pairwise(times.tolist()):
        x = step_back(x, denoiser.estimate(x, t), denoiser.schedule.signal(t), denoiser.schedule.signal(s))
    return x


def sample(denoiser: Denoiser, count: int, seed: Seed, steps: int = 50) -> Floats:
    """``count`` draws (draw, *shape) in the units of the rows: standard normal noise at time 1, denoised to time 0.

    The same seed gives the same bytes. As ``steps`` grows, a Gaussian N(μ, Σ) is reached by z ↦ μ + Σ^½ z.
    """
    torch = need("torch", extra="torch")
    noise = denoiser.tensor(seed.child("diffusion").generator().normal(size=(count, *denoiser.shape)))
    with torch.no_grad():
        return to_floats(denoiser.to_rows(denoise(denoiser, noise, denoiser.schedule.times(steps))))


def ancestral_step(x: Any, clean: Any, signal: float, target: float, noise: Any) -> Any:
    """One step that draws from q(x_s | x_t, x₀ = x̂₀) (Ho et al. 2020), with standard normal ``noise``."""
    ratio, left = signal / target, (1 - target) / (1 - signal)
    mean = math.sqrt(target) * (1 - ratio) / (1 - signal) * clean + math.sqrt(ratio) * left * x
    return mean + math.sqrt(left * (1 - ratio)) * noise
