# SPDX-License-Identifier: Apache-2.0
"""Interval bound propagation and CROWN: what a chain of affine layers and rectifiers can return on a set of inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assay.engine.bounds.layer_chain import LayerChain
from assay.engine.search.ball import Ball

if TYPE_CHECKING:
    import torch as pt

MAX_NUMBERS = 2**24
"""Numbers that one backward pass of the linear bounds holds at a time."""


@dataclass(frozen=True, eq=False)
class InputSet:
    """The inputs (row, *shape) from ``low`` to ``high``, within ``radius`` of ``centre`` in ℓ1 or ℓ2 where given.

    ``scale`` (*shape) divides the change before its norm is taken.
    """

    low: pt.Tensor
    high: pt.Tensor
    centre: pt.Tensor
    norm: str = "linf"
    radius: float = math.inf
    scale: Any = 1.0

    @classmethod
    def of(cls, x: pt.Tensor, ball: Ball) -> InputSet:
        """The ball around each row, within its bounds."""
        import torch

        scale = torch.as_tensor(ball.scale or 1.0, dtype=x.dtype, device=x.device)
        reach = ball.radius * scale * torch.ones_like(x)
        low, high = (x - reach).clamp(min=ball.low), (x + reach).clamp(max=ball.high)
        return cls(low, high, x, ball.norm, ball.radius, scale)

    def least(self, weights: pt.Tensor) -> pt.Tensor:
        """A lower bound (row, query) of Σ weights · x in the set; ``weights`` (row, query, *shape)."""
        import torch

        flat, (low, high, centre) = (
            weights.flatten(2),
            (t.flatten(1)[:, None] for t in (self.low, self.high, self.centre)),
        )
        box = (flat.clamp(min=0) * low + flat.clamp(max=0) * high).sum(dim=2)
        if self.norm not in ("l1", "l2"):
            return box
        scaled = (weights * self.scale).flatten(2).abs()
        dual = scaled.amax(dim=2) if self.norm == "l1" else torch.linalg.vector_norm(scaled, dim=2)
        return torch.maximum(box, (flat * centre).sum(dim=2) - self.radius * dual)


@dataclass(frozen=True, eq=False)
class Bounds:
    """Limits (row, *shape) of what enters each step of a chain, and of its outputs at the end."""

    low: tuple[pt.Tensor, ...]
    high: tuple[pt.Tensor, ...]


def propagate_intervals(chain: LayerChain, inputs: InputSet) -> Bounds:
    """Interval bound propagation: an affine layer maps the centre of a box, and its radius by absolute weights."""
    low, high = [inputs.low], [inputs.high]
    for step in chain.steps:
        if step is None:
            low.append(low[-1].clamp(min=0))
            high.append(high[-1].clamp(min=0))
        else:
            centre, radius = step((low[-1] + high[-1]) / 2), step.absolute((high[-1] - low[-1]) / 2)
            low.append(centre - radius)
            high.append(centre + radius)
    return Bounds(tuple(low), tuple(high))


def tighten_by_crown(chain: LayerChain, inputs: InputSet, bounds: Bounds) -> Bounds:
    """The same limits, at each rectifier the better of these and of linear bounds back to the input (CROWN)."""
    import torch

    low, high = list(bounds.low), list(bounds.high)
    for place, step in enumerate(chain.steps):
        if step is None:
            if any(one is None for one in chain.steps[:place]):  # before the first rectifier intervals are exact in ℓ∞
                least, most = _linear_limits(chain, inputs, Bounds(tuple(low), tuple(high)), place)
                low[place], high[place] = torch.maximum(low[place], least), torch.minimum(high[place], most)
            low[place + 1], high[place + 1] = low[place].clamp(min=0), high[place].clamp(min=0)
        else:
            centre, radius = step((low[place] + high[place]) / 2), step.absolute((high[place] - low[place]) / 2)
            low[place + 1] = torch.maximum(low[place + 1], centre - radius)
            high[place + 1] = torch.minimum(high[place + 1], centre + radius)
    return Bounds(tuple(low), tuple(high))


def _linear_limits(chain: LayerChain, inputs: InputSet, bounds: Bounds, place: int) -> tuple[pt.Tensor, pt.Tensor]:
    """Linear bounds (row, *shape) of each number that enters step ``place``, as many at a time as memory allows."""
    import torch

    like = bounds.low[place]
    size, widest = like[0].numel(), max(one[0].numel() for one in bounds.low[: place + 1])
    together = max(1, MAX_NUMBERS // (len(like) * widest))
    found: list[list[pt.Tensor]] = [[], []]
    for start in range(0, size, together):
        unit = torch.eye(size, dtype=like.dtype, device=like.device)[start : start + together]
        unit = unit.reshape(1, -1, *like.shape[1:]).expand(len(like), -1, *like.shape[1:])
        found[0].append(linear_lower_bounds(chain, inputs, bounds, unit, place))
        found[1].append(-linear_lower_bounds(chain, inputs, bounds, -unit, place))
    least, most = (torch.cat(one, dim=1).reshape(like.shape) for one in found)
    return least, most


def linear_lower_bounds(
    chain: LayerChain, inputs: InputSet, bounds: Bounds, weights: pt.Tensor, end: int | None = None
) -> pt.Tensor:
    """A lower bound (row, query) of Σ ``weights`` (row, query, *shape) · what enters step ``end`` (the outputs).

    Backwards, a rectifier whose sign is not known in the set is replaced by a line: above it u/(u−l) · (z − l), below
    it 0 or z, whichever leaves less area (Zhang et al. 2018).
    """
    import torch

    end = len(chain.steps) if end is None else end
    rows, queries = weights.shape[:2]
    constant = torch.zeros((rows, queries), dtype=weights.dtype, device=weights.device)
    for place in range(end - 1, -1, -1):
        step, low, high = chain.steps[place], bounds.low[place], bounds.high[place]
        if step is None:
            weights, further = _through_rectifier(weights, low, high)
            constant = constant + further
        else:
            zero = step(torch.zeros_like(low[:1]))
            constant = constant + (weights * zero[:, None]).flatten(2).sum(dim=2)
            flat = step.transpose(weights.flatten(0, 1), tuple(low.shape[1:]))
            weights = flat.reshape(rows, queries, *low.shape[1:])
    return constant + inputs.least(weights)


def _through_rectifier(weights: pt.Tensor, low: pt.Tensor, high: pt.Tensor) -> tuple[pt.Tensor, pt.Tensor]:
    """Weights of the rectifier's input for a lower bound, and the constant (row, query) that is added."""
    import torch

    open_ = (low < 0) & (high > 0)
    above = torch.where(open_, high / torch.where(open_, high - low, torch.ones_like(low)), (low >= 0).to(low.dtype))
    below = torch.where(open_, (high > -low).to(low.dtype), (low >= 0).to(low.dtype))
    lift = torch.where(open_, -above * low, torch.zeros_like(low))
    positive, negative = weights.clamp(min=0), weights.clamp(max=0)
    return positive * below[:, None] + negative * above[:, None], (negative * lift[:, None]).flatten(2).sum(dim=2)


def largest_slope(chain: LayerChain, inputs: InputSet, weights: pt.Tensor) -> pt.Tensor:
    """Upper bound (row,) of the ℓ2 norm of the gradient of Σ ``weights`` (row, class) · outputs in the box.

    Intervals of the derivatives are propagated backwards; on the box, which is convex, it is a Lipschitz constant.
    """
    import torch

    bounds = propagate_intervals(chain, inputs)
    low = high = weights
    for place in range(len(chain.steps) - 1, -1, -1):
        step, shape = chain.steps[place], tuple(bounds.low[place].shape[1:])
        if step is not None:
            centre = step.transpose((low + high) / 2, shape)
            radius = step.transpose((high - low) / 2, shape, absolute=True)
            low, high = centre - radius, centre + radius
            continue
        on, off = bounds.low[place] >= 0, bounds.high[place] <= 0
        low = torch.where(on, low, torch.where(off, torch.zeros_like(low), low.clamp(max=0)))
        high = torch.where(on, high, torch.where(off, torch.zeros_like(high), high.clamp(min=0)))
    return torch.linalg.vector_norm(torch.maximum(low.abs(), high.abs()).flatten(1), dim=1)
