# SPDX-License-Identifier: Apache-2.0
"""A small convolutional denoiser for pictures, and how it is trained."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from assay.basics.errors import InputError
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Array
from assay.model.diffusion.denoiser import Denoiser, net_denoiser
from assay.model.diffusion.schedule import COSINE
from assay.nouns.inputs.number_checks import require_count, require_number
from assay.nouns.inputs.rows import to_floats

ROOT = Seed(0)
"""The seed of a training where none is given."""

WAVES = 16
"""Frequencies of the time that the net sees."""

LEAST_TIME = 1e-3
"""The least time at which the net is trained."""


@cache
def net_class() -> Any:
    """The module class; made once, where torch is needed."""
    import torch as pt

    class Block(pt.nn.Module):
        """Two convolutions with a path around them, the first moved and scaled by the time."""

        def __init__(self, before: int, after: int, clock: int) -> None:
            super().__init__()
            self.first = pt.nn.Sequential(
                pt.nn.GroupNorm(8, before), pt.nn.SiLU(), pt.nn.Conv2d(before, after, 3, padding=1)
            )
            self.norm = pt.nn.GroupNorm(8, after)
            self.clock = pt.nn.Linear(clock, 2 * after)
            self.second = pt.nn.Conv2d(after, after, 3, padding=1)
            self.around = pt.nn.Conv2d(before, after, 1) if before != after else pt.nn.Identity()

        def forward(self, x: pt.Tensor, clock: pt.Tensor) -> pt.Tensor:
            scale, shift = self.clock(clock)[:, :, None, None].chunk(2, dim=1)
            inner = self.norm(self.first(x)) * (1 + scale) + shift
            return self.around(x) + self.second(pt.nn.functional.silu(inner))

    class DenoisingNet(pt.nn.Module):
        """A U-Net of two sizes on pictures whose 2 × 2 pixels are channels; ``forward(x, t)`` gives v."""

        def __init__(self, channels: int, width: int) -> None:
            super().__init__()
            clock, deep = 2 * width, 2 * width
            self.clock = pt.nn.Sequential(pt.nn.Linear(2 * WAVES, clock), pt.nn.SiLU(), pt.nn.Linear(clock, clock))
            self.enter = pt.nn.Conv2d(4 * channels, width, 3, padding=1)
            self.wide = Block(width, width, clock)
            self.down = pt.nn.Conv2d(width, deep, 3, stride=2, padding=1)
            self.deep = pt.nn.ModuleList([Block(deep, deep, clock) for _ in range(2)])
            self.up = pt.nn.Conv2d(deep, width, 3, padding=1)
            self.joined = pt.nn.ModuleList([Block(2 * width, width, clock), Block(width, width, clock)])
            self.leave = pt.nn.Sequential(
                pt.nn.GroupNorm(8, width), pt.nn.SiLU(), pt.nn.Conv2d(width, 4 * channels, 3, padding=1)
            )
            self.register_buffer("waves", pt.exp(pt.linspace(0.0, math.log(100.0), WAVES)), persistent=False)

        def forward(self, x: pt.Tensor, t: pt.Tensor) -> pt.Tensor:
            """v = √ā ε − √(1 − ā) x₀ (row, channel, height, width) at the times (row,)."""
            angles = t[:, None] * self.get_buffer("waves")
            clock = self.clock(pt.cat([angles.sin(), angles.cos()], dim=1))
            wide = self.wide(self.enter(pt.nn.functional.pixel_unshuffle(x, 2)), clock)
            inner = self.down(wide)
            for block in self.deep:
                inner = block(inner, clock)
            inner = pt.nn.functional.interpolate(self.up(inner), scale_factor=2.0)
            inner = pt.cat([inner, wide], dim=1)
            for block in self.joined:
                inner = block(inner, clock)
            return pt.nn.functional.pixel_shuffle(self.leave(inner), 2)

    return DenoisingNet


def make_net(shape: tuple[int, ...], width: int, seed: Seed) -> Any:
    """A net with weights drawn by the seed; ``InputError`` unless height and width are multiples of 4."""
    torch = need("torch", extra="torch")
    if len(shape) != 3 or shape[1] % 4 or shape[2] % 4:
        raise InputError(
            f"rows of shape {shape}; the denoising net takes pictures (channel, height, width) whose height and width "
            f"are multiples of 4. Pad the pictures, or wrap a net of your own with net_denoiser(net, shape)."
        )
    require_count("width", width, meaning="the channels of the denoising net, a multiple of 8")
    if width % 8:
        raise InputError(f"width={width} of the denoising net is no multiple of 8.")
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(seed.child("weights").torch().get_state())
        return net_class()(shape[0], width)


def train_denoiser(
    x: Array,
    *,
    seed: Seed = ROOT,
    steps: int = 800,
    batch: int = 64,
    width: int = 32,
    rate: float = 2e-3,
    average: float = 0.99,
    bounds: tuple[float, float] | None = (-1.0, 1.0),
) -> Denoiser:
    """A denoiser of the pictures ``x`` (row, channel, height, width), trained by ``steps`` of Adam.

    Minimises E‖v̂(x_t, t) − v‖² over rows, times between 0 and 1 and noise, with pictures scaled to −1 … 1 by their
    own range; ``rate`` rises for a twentieth of the steps and falls to 0 by a cosine. The weights are the exponential
    average with the factor ``average``. The same seed gives the same weights on the same machine, with one thread.
    """
    values = to_floats(x)
    low, high = float(values.min()), float(values.max())
    if not low < high:
        raise InputError(f"all pixels are {low:g}; a denoiser learns from pictures that differ.")
    require_count("steps", steps, meaning="the number of steps of the training")
    require_count("batch", batch, meaning="the number of pictures of a step")
    require_number("rate", rate, above=0, meaning="the step width of Adam")
    net = make_net(values.shape[1:], width, seed)
    center, scale = (low + high) / 2, (high - low) / 2
    _fit(net, (values - center) / scale, seed, steps, batch, rate, average)
    return net_denoiser(net, values.shape[1:], bounds=bounds, name="DenoisingNet").in_units(center, scale)


def _fit(net: Any, x: Any, seed: Seed, steps: int, batch: int, rate: float, average: float) -> None:
    """Train the net in place; its weights end as their average."""
    torch = need("torch", extra="torch")
    pictures, stream = torch.as_tensor(x, dtype=torch.float32), seed.child("training").generator()
    optimiser = torch.optim.Adam(net.parameters(), lr=rate, betas=(0.9, 0.99))
    smooth = [weight.detach().clone() for weight in net.parameters()]
    net.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = (
                rate * min(1.0, (step + 1) / max(1, steps // 20)) * 0.5 * (1 + math.cos(math.pi * step / steps))
            )
        x0 = pictures[torch.as_tensor(stream.integers(len(pictures), size=batch))]
        t = torch.as_tensor(stream.uniform(LEAST_TIME, 1.0, batch), dtype=torch.float32)
        noise = torch.as_tensor(stream.normal(size=x0.shape), dtype=torch.float32)
        a = torch.as_tensor([COSINE.signal(one) for one in t.double().tolist()], dtype=torch.float32)[
            :, None, None, None
        ]
        v = a.sqrt() * noise - (1 - a).sqrt() * x0
        loss = ((net(a.sqrt() * x0 + (1 - a).sqrt() * noise, t) - v) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        keep = min(average, (step + 1) / (step + 10))
        for mean, weight in zip(smooth, net.parameters()):
            mean.mul_(keep).add_(weight.detach(), alpha=1 - keep)
    for mean, weight in zip(smooth, net.parameters()):
        weight.data.copy_(mean)
