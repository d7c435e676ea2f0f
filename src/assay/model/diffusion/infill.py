# SPDX-License-Identifier: Apache-2.0
"""In-fill: absent elements of an input are drawn by a denoiser, given the elements that are present."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal

from assay.basics.optional import need
from assay.model.diffusion.denoiser import Denoiser
from assay.model.diffusion.reverse import ancestral_step
from assay.model.diffusion.schedule import add_noise

Method = Literal["repaint", "guided", "replacement"]
METHODS = ("repaint", "guided", "replacement")


def infill(
    denoiser: Denoiser, x: Any, keep: Any, noise: Callable[[], Any], *, method: Method, steps: int, repeats: int = 1
) -> Any:
    """Draws (draw, *shape) in the denoiser's units: ``x`` where ``keep``, elsewhere what the denoiser puts there.

    ``x`` and ``keep`` are tensors (*shape) or (draw, *shape); ``noise()`` gives standard normal numbers (draw, *shape).
    Every step draws from q(x_s | x_t, x̂₀) (Ho et al. 2020).

    "repaint" (Lugmayr et al. 2022): at each step the present elements are replaced by x at that step's noise, and the
    step is repeated ``repeats`` times, with noise added again in between, so that both sides come to agree. "guided"
    (Song et al. 2023): x̂₀ is moved by Jᵀ(x − x̂₀) / √ā over the present elements, where J is the derivative of x̂₀. That
    is the Bayesian update for data of variance 1. "replacement" is "repaint" without repeats: it is no draw from the
    conditional distribution, and no number of steps makes it one.
    """
    torch = need("torch", extra="torch")
    point, schedule = noise(), denoiser.schedule
    rounds = repeats if method == "repaint" else 1
    for t, s in pairwise(schedule.times(steps).tolist()):
        signal, target = schedule.signal(t), schedule.signal(s)
        for left in reversed(range(rounds)):
            if method == "guided":
                clean = _guided(denoiser, point, t, x, keep)
            else:
                with torch.no_grad():
                    clean = denoiser.estimate(point, t)
            earlier = ancestral_step(point, clean, signal, target, noise())
            if method != "guided":
                earlier = torch.where(keep, add_noise(x, target, noise()), earlier)
            point = add_noise(earlier, signal / target, noise()) if left else earlier
    return torch.where(keep, x, point)


def _guided(denoiser: Denoiser, point: Any, t: float, x: Any, keep: Any) -> Any:
    """x̂₀ given the present elements, under a posterior of x₀ of variance 1 − ā around x̂₀."""
    torch = need("torch", extra="torch")
    with torch.enable_grad():
        point = point.detach().requires_grad_(True)
        clean = denoiser.clean(point, t)
        gap = torch.where(keep, x - clean, 0.0).detach()
        (pull,) = torch.autograd.grad((clean * gap).sum(), point)
    return denoiser.clip(clean + pull / math.sqrt(denoiser.schedule.signal(t))).detach()


def denoiser_calls(method: Method, steps: int, repeats: int) -> int:
    """Calls of the denoiser for one draw: ``steps``, for "repaint" times ``repeats``.

    "guided" takes a derivative at each of them.
    """
    return steps * repeats if method == "repaint" else steps
