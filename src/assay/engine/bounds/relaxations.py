# SPDX-License-Identifier: Apache-2.0
"""Straight lines below and above a step that is not affine, between limits of its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from assay.engine.bounds.layer_graph import Activation, MaxPool

if TYPE_CHECKING:
    import torch as pt

NARROW = 1e-6
"""Intervals of at most so much are bounded by the smallest slope in them, since a chord would round."""


@dataclass(frozen=True, eq=False)
class Lines:
    """``below`` · z + ``below_at`` ≤ f(z) ≤ ``above`` · z + ``above_at`` between the limits (row, *shape)."""

    below: pt.Tensor
    below_at: pt.Tensor
    above: pt.Tensor
    above_at: pt.Tensor


def lines_of(step: Activation, low: pt.Tensor, high: pt.Tensor) -> Lines:
    """The lines of an activation.

    Rectifier: above it u/(u−l) · (z − l), below it 0 or z, whichever leaves less area (Zhang et al. 2018). Where a
    function is convex the tangent at the middle is below and the chord above it, where it is concave the reverse; a
    sigmoid or tanh on both sides of 0 is between the lines through its ends with the smaller slope of the two.
    """
    import torch

    if step.kind == "relu":
        open_ = (low < 0) & (high > 0)
        width = torch.where(open_, high - low, torch.ones_like(low))
        above = torch.where(open_, high / width, (low >= 0).to(low.dtype))
        below = torch.where(open_, (high > -low).to(low.dtype), (low >= 0).to(low.dtype))
        zero = torch.zeros_like(low)
        return Lines(below, zero, above, torch.where(open_, -above * low, zero))
    at_low, at_high = step(low), step(high)
    least = torch.minimum(step.slope(low), step.slope(high))
    lines = Lines(least, at_low - least * low, least, at_high - least * high)
    wide = (high - low) > NARROW
    chord = (at_high - at_low) / torch.where(wide, high - low, torch.ones_like(low))
    middle = (low + high) / 2
    tangent = step.slope(middle)
    tangent_at, chord_at = step(middle) - tangent * middle, at_low - chord * low
    always = step.kind == "softplus"
    convex = wide & (torch.ones_like(wide) if always else high <= 0)
    concave = wide & ~convex & (torch.zeros_like(wide) if always else low >= 0)
    return Lines(
        torch.where(convex, tangent, torch.where(concave, chord, lines.below)),
        torch.where(convex, tangent_at, torch.where(concave, chord_at, lines.below_at)),
        torch.where(convex, chord, torch.where(concave, tangent, lines.above)),
        torch.where(convex, chord_at, torch.where(concave, tangent_at, lines.above_at)),
    )


def through_activation(
    step: Activation, weights: pt.Tensor, low: pt.Tensor, high: pt.Tensor
) -> tuple[pt.Tensor, pt.Tensor]:
    """Weights of the activation's input for a lower bound, and the constant (row, query) that is added."""
    lines = lines_of(step, low, high)
    positive, negative = weights.clamp(min=0), weights.clamp(max=0)
    constant = positive * lines.below_at[:, None] + negative * lines.above_at[:, None]
    return positive * lines.below[:, None] + negative * lines.above[:, None], constant.flatten(2).sum(dim=2)


def through_max_pool(step: MaxPool, weights: pt.Tensor, low: pt.Tensor, high: pt.Tensor) -> tuple[pt.Tensor, pt.Tensor]:
    """The same for max-pooling.

    Below: the member with the highest lower limit m. Above: that member where no other can exceed it; else the highest
    upper limit, or m + Σ (u − m)⁺/(u − l) · (z − l) over the members, whichever is lower in the middle.
    """
    import torch

    lows, highs = step.windows(low, -torch.inf), step.windows(high, -torch.inf)
    best = lows.argmax(dim=-1, keepdim=True)
    most = lows.gather(-1, best)
    chosen = torch.zeros_like(lows).scatter(-1, best, 1.0)
    others = highs.masked_fill(chosen > 0, -torch.inf).amax(dim=-1, keepdim=True)
    wins = others <= most
    rise = (highs - most).clamp(min=0)
    width = (highs - lows).nan_to_num(nan=0.0)  # of padding −∞ − (−∞)
    share = torch.where(width > NARROW, rise / width.clamp(min=NARROW), torch.zeros_like(rise))
    exact = ((width > NARROW) | (rise == 0)).all(dim=-1, keepdim=True)  # else a share is left out
    top = highs.amax(dim=-1, keepdim=True)
    slanted = ~wins & exact & (most + rise.sum(dim=-1, keepdim=True) / 2 < top)
    zero = torch.zeros_like(share)
    slope = torch.where(wins, chosen, torch.where(slanted, share, zero))
    started = (share * lows.masked_fill(share == 0, 0.0)).sum(dim=-1, keepdim=True)
    offset = torch.where(wins, torch.zeros_like(top), torch.where(slanted, most - started, top))[..., 0]
    flat = weights.flatten(-2)[..., None]
    positive, negative = flat.clamp(min=0), flat.clamp(max=0)
    members = positive * chosen[:, None] + negative * slope[:, None]
    constant = (negative[..., 0] * offset[:, None]).flatten(2).sum(dim=2)
    return step.scatter(members, tuple(low.shape[1:])), constant
