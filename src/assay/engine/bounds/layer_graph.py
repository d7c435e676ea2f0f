# SPDX-License-Identifier: Apache-2.0
"""The steps of a net of which bounds are known: affine layers, increasing activations, max-pooling and sums."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch as pt


@dataclass(frozen=True, eq=False)
class Affine:
    """An affine layer ``layer``, and the same layer with absolute weights and no bias, ``absolute``."""

    layer: Any
    absolute: Any

    def __call__(self, x: pt.Tensor) -> pt.Tensor:
        """The layer's output."""
        out: pt.Tensor = self.layer(x)
        return out

    def transpose(self, weights: pt.Tensor, shape: tuple[int, ...], *, absolute: bool = False) -> pt.Tensor:
        """Wᵀ · ``weights`` (query, *out), as (query, *shape); |W|ᵀ with ``absolute``."""
        import torch

        with torch.enable_grad():
            x = torch.zeros((len(weights), *shape), dtype=weights.dtype, device=weights.device, requires_grad=True)
            out = (self.absolute if absolute else self.layer)(x)
            found: pt.Tensor = torch.autograd.grad((out * weights).sum(), x)[0]
        return found


@dataclass(frozen=True, eq=False)
class Activation:
    """An increasing function of each number."""

    kind: Literal["relu", "softplus", "sigmoid", "tanh"]
    sharpness: float = 1.0

    def __call__(self, x: pt.Tensor) -> pt.Tensor:
        """Its values."""
        import torch

        if self.kind == "relu":
            return x.clamp(min=0)
        if self.kind == "softplus":
            return torch.logaddexp(torch.zeros_like(x), self.sharpness * x) / self.sharpness
        return torch.sigmoid(x) if self.kind == "sigmoid" else torch.tanh(x)

    def slope(self, x: pt.Tensor) -> pt.Tensor:
        """Its derivative; of a rectifier 1 from 0 on."""
        import torch

        if self.kind == "relu":
            return (x >= 0).to(x.dtype)
        if self.kind == "softplus":
            return torch.sigmoid(self.sharpness * x)
        value = self(x)
        return value * (1 - value) if self.kind == "sigmoid" else 1 - value * value

    @property
    def largest_slope(self) -> float:
        """The largest derivative anywhere."""
        return 0.25 if self.kind == "sigmoid" else 1.0


@dataclass(frozen=True, eq=False)
class MaxPool:
    """Max-pooling over windows of two-dimensional maps."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    def __call__(self, x: pt.Tensor) -> pt.Tensor:
        """The largest number of each window."""
        from torch.nn import functional

        return functional.max_pool2d(x, self.kernel, self.stride, self.padding, self.dilation)

    def places(self, shape: tuple[int, ...]) -> pt.Tensor:
        """The places (window, member) of each window in a flat map of ``shape``; −1 for padding."""
        import torch
        from torch.nn import functional

        height, width = shape[-2:]
        index = torch.arange(1, height * width + 1, dtype=torch.float64).reshape(1, 1, height, width)
        found = functional.unfold(index, self.kernel, self.dilation, self.padding, self.stride)
        return found[0].T.long() - 1

    def windows(self, x: pt.Tensor, missing: float) -> pt.Tensor:
        """The members of each window (…, channel, window, member), ``missing`` for padding."""
        places = self.places(tuple(x.shape)).to(x.device)
        found = x.flatten(-2)[..., places.clamp(min=0)]
        return found.masked_fill(places < 0, missing)

    def scatter(self, weights: pt.Tensor, shape: tuple[int, ...]) -> pt.Tensor:
        """Sums of weights (…, channel, window, member) at the places of the members, as (…, *shape)."""
        import torch

        places = self.places(shape).to(weights.device)
        kept = torch.where(places >= 0, weights, torch.zeros_like(weights)).flatten(-2)
        out = torch.zeros((*weights.shape[:-2], shape[-2] * shape[-1]), dtype=weights.dtype, device=weights.device)
        out.index_add_(out.ndim - 1, places.clamp(min=0).flatten(), kept)
        return out.reshape(*weights.shape[:-2], *shape[-2:])

    @cached_property
    def overlap(self) -> int:
        """The most windows that one number belongs to."""
        counts = [-(-((k - 1) * d + 1) // s) for k, s, d in zip(self.kernel, self.stride, self.dilation)]
        return counts[0] * counts[1]


@dataclass(frozen=True, eq=False)
class Sum:
    """The sum of two values."""

    def __call__(self, x: pt.Tensor, y: pt.Tensor) -> pt.Tensor:
        """x + y."""
        return x + y


Step = Affine | Activation | MaxPool | Sum
"""What can be bounded."""


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """Steps in the order they run. Value 0 is the input, value k + 1 the output of step k; the last is the net's.

    ``sources`` has for each step the values that it reads.
    """

    steps: tuple[Step, ...]
    sources: tuple[tuple[int, ...], ...]

    def __call__(self, x: pt.Tensor) -> pt.Tensor:
        """The outputs (row, class)."""
        values = [x]
        for step, source in zip(self.steps, self.sources):
            values.append(step(*(values[one] for one in source)))
        return values[-1]
