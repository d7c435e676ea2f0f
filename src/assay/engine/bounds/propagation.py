# SPDX-License-Identifier: Apache-2.0
"""Interval bound propagation and CROWN: what a graph of layers can return on a set of inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assay.engine.bounds.layer_graph import Activation, Affine, LayerGraph, MaxPool, Sum
from assay.engine.bounds.relaxations import through_activation, through_max_pool
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
    """Limits (row, *shape) of each value of a graph: the input, and the output of each step."""

    low: tuple[pt.Tensor, ...]
    high: tuple[pt.Tensor, ...]


def propagate_intervals(graph: LayerGraph, inputs: InputSet) -> Bounds:
    """Interval bound propagation: an affine layer maps the centre of a box, and its radius by absolute weights.

    The other steps are increasing in every number, and map the two ends.
    """
    low, high = [inputs.low], [inputs.high]
    for place in range(len(graph.steps)):
        least, most = _interval(graph, low, high, place)
        low.append(least)
        high.append(most)
    return Bounds(tuple(low), tuple(high))


def _interval(
    graph: LayerGraph, low: list[pt.Tensor], high: list[pt.Tensor], place: int
) -> tuple[pt.Tensor, pt.Tensor]:
    """Limits of the output of a step from those of what it reads."""
    step, source = graph.steps[place], graph.sources[place]
    if isinstance(step, Affine):
        least, most = low[source[0]], high[source[0]]
        centre, radius = step((least + most) / 2), step.absolute((most - least) / 2)
        return centre - radius, centre + radius
    return step(*(low[one] for one in source)), step(*(high[one] for one in source))


def tighten_by_crown(graph: LayerGraph, inputs: InputSet, bounds: Bounds) -> Bounds:
    """The same limits, before each step that is not affine the better of these and of linear bounds (CROWN)."""
    import torch

    low, high = list(bounds.low), list(bounds.high)
    done: set[int] = set()
    for place, step in enumerate(graph.steps):
        value = graph.sources[place][0]
        is_curved = isinstance(step, Activation | MaxPool)
        if is_curved and value not in done and not _is_exact(graph, value):
            least, most = _linear_limits(graph, inputs, Bounds(tuple(low), tuple(high)), value)
            low[value], high[value] = torch.maximum(low[value], least), torch.minimum(high[value], most)
            done.add(value)
        least, most = _interval(graph, low, high, place)
        low[place + 1] = torch.maximum(low[place + 1], least)
        high[place + 1] = torch.minimum(high[place + 1], most)
    return Bounds(tuple(low), tuple(high))


def _is_exact(graph: LayerGraph, value: int) -> bool:
    """Whether linear bounds of a value would be no better than intervals.

    At most one affine layer lies before it, so that intervals are exact in ℓ∞; or it is the output of an activation,
    which max-pooling often reads.
    """
    if value > 0 and isinstance(graph.steps[value - 1], Activation):
        return True
    layers = 0
    while value > 0:
        step = graph.steps[value - 1]
        if not isinstance(step, Affine) or layers > 1:
            return False
        layers += hasattr(step.layer, "out_channels") or hasattr(step.layer, "out_features")
        value = graph.sources[value - 1][0]
    return layers <= 1


def _linear_limits(graph: LayerGraph, inputs: InputSet, bounds: Bounds, value: int) -> tuple[pt.Tensor, pt.Tensor]:
    """Linear bounds (row, *shape) of each number of a value, as many at a time as memory allows."""
    import torch

    like = bounds.low[value]
    size, widest = like[0].numel(), max(one[0].numel() for one in bounds.low[: value + 1])
    together = max(1, MAX_NUMBERS // (len(like) * widest))
    found: list[list[pt.Tensor]] = [[], []]
    for start in range(0, size, together):
        unit = torch.eye(size, dtype=like.dtype, device=like.device)[start : start + together]
        unit = unit.reshape(1, -1, *like.shape[1:]).expand(len(like), -1, *like.shape[1:])
        found[0].append(linear_lower_bounds(graph, inputs, bounds, unit, value))
        found[1].append(-linear_lower_bounds(graph, inputs, bounds, -unit, value))
    least, most = (torch.cat(one, dim=1).reshape(like.shape) for one in found)
    return least, most


def linear_lower_bounds(
    graph: LayerGraph, inputs: InputSet, bounds: Bounds, weights: pt.Tensor, value: int | None = None
) -> pt.Tensor:
    """A lower bound (row, query) of Σ ``weights`` (row, query, *shape) · a value (the outputs).

    Backwards, each step that is not affine is replaced by a line below and a line above it.
    """
    import torch

    value = len(graph.steps) if value is None else value
    rows, queries = weights.shape[:2]
    constant = torch.zeros((rows, queries), dtype=weights.dtype, device=weights.device)
    held: dict[int, pt.Tensor] = {value: weights}
    for place in range(value - 1, -1, -1):
        if place + 1 not in held:
            continue
        weights, step, source = held.pop(place + 1), graph.steps[place], graph.sources[place]
        low, high = bounds.low[source[0]], bounds.high[source[0]]
        if isinstance(step, Affine):
            zero = step(torch.zeros_like(low[:1]))
            constant = constant + (weights * zero[:, None]).flatten(2).sum(dim=2)
            flat = step.transpose(weights.flatten(0, 1), tuple(low.shape[1:]))
            weights = flat.reshape(rows, queries, *low.shape[1:])
        elif not isinstance(step, Sum):
            through = through_activation if isinstance(step, Activation) else through_max_pool
            weights, further = through(step, weights, low, high)  # type: ignore[arg-type]  # each takes its own kind
            constant = constant + further
        for one in source:
            held[one] = held[one] + weights if one in held else weights
    return constant + (inputs.least(held[0]) if 0 in held else 0.0)


def largest_slope(graph: LayerGraph, inputs: InputSet, weights: pt.Tensor) -> pt.Tensor:
    """Upper bound (row,) of the ℓ2 norm of the gradient of Σ ``weights`` (row, class) · outputs in the box.

    Intervals of the derivatives are propagated backwards; on the box, which is convex, it is a Lipschitz constant.
    """
    import torch

    bounds = propagate_intervals(graph, inputs)
    held: dict[int, tuple[pt.Tensor, pt.Tensor]] = {len(graph.steps): (weights, weights)}
    for place in range(len(graph.steps) - 1, -1, -1):
        if place + 1 not in held:
            continue
        (low, high), step, source = held.pop(place + 1), graph.steps[place], graph.sources[place]
        least, most = bounds.low[source[0]], bounds.high[source[0]]
        if isinstance(step, Affine):
            shape = tuple(least.shape[1:])
            centre = step.transpose((low + high) / 2, shape)
            radius = step.transpose((high - low) / 2, shape, absolute=True)
            low, high = centre - radius, centre + radius
        elif isinstance(step, MaxPool):
            lows, highs = step.windows(least, -torch.inf), step.windows(most, -torch.inf)
            top = lows.amax(dim=-1, keepdim=True)
            can = highs >= top  # a member may be the largest
            must = can & (can.sum(dim=-1, keepdim=True) == 1)
            low, high = (one.flatten(-2)[..., None] for one in (low, high))
            low = torch.where(must, low, torch.where(can, low.clamp(max=0), torch.zeros_like(low)))
            high = torch.where(must, high, torch.where(can, high.clamp(min=0), torch.zeros_like(high)))
            low, high = (step.scatter(one, tuple(least.shape[1:])) for one in (low, high))
        elif isinstance(step, Activation):
            flattest, steepest = _slopes(step, least, most)
            low, high = (
                torch.minimum(low * flattest, low * steepest),
                torch.maximum(high * flattest, high * steepest),
            )
        for one in source:
            held[one] = (held[one][0] + low, held[one][1] + high) if one in held else (low, high)
    low, high = held[0]
    return torch.linalg.vector_norm(torch.maximum(low.abs(), high.abs()).flatten(1), dim=1)


def _slopes(step: Activation, low: pt.Tensor, high: pt.Tensor) -> tuple[pt.Tensor, pt.Tensor]:
    """The smallest and the largest derivative between two limits."""
    import torch

    if step.kind == "relu":
        return (low >= 0).to(low.dtype), (high > 0).to(low.dtype)
    ends = step.slope(low), step.slope(high)
    largest = torch.maximum(*ends)
    if step.kind != "softplus":
        largest = torch.where((low < 0) & (high > 0), torch.full_like(largest, step.largest_slope), largest)
    return torch.minimum(*ends), largest
