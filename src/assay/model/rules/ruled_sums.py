# SPDX-License-Identifier: Apache-2.0
"""Weighted sums whose backward pass is a propagation rule of LRP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from assay.model.rules.propagation_rules import RULE_FUNCTIONS, Rule
from assay.model.rules.weighted_sums import WeightedSum


def sum_by_row(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Σ one · other (row,), without storing the products."""
    if one.ndim == 4 and all(t.is_contiguous(memory_format=torch.channels_last) for t in (one, other)):
        one, other = (t.permute(0, 2, 3, 1) for t in (one, other))
    flat = [_single_precision(t).reshape(len(t), 1, -1) for t in (one, other.expand_as(one))]
    return torch.bmm(flat[0], flat[1].transpose(1, 2)).double().flatten()


def _single_precision(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, of half precision as float32."""
    return tensor.float() if torch.finfo(tensor.dtype).bits < 32 else tensor


@dataclass
class SavedTensor:
    """The input, or the value, of a weighted sum, stored for its backward pass."""

    tensor: torch.Tensor


class RuledSum(torch.autograd.Function):
    """A weighted sum whose backward pass is a propagation rule."""

    @staticmethod
    def forward(
        ctx: Any,
        a: torch.Tensor,
        unit: Any,
        value: torch.Tensor,
        saved: Any,
        found: WeightedSum,
        rule: Rule,
        count: Any,
    ) -> torch.Tensor:
        """The sum."""
        ctx.first, ctx.saved, ctx.found, ctx.rule, ctx.count = unit is not None, saved, found, rule, count
        return value.detach()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[Any, ...]:
        """The rule's g_in, or its R_in for a rule of the first layer."""
        (g,), (a, z) = grads, (one.tensor for one in ctx.saved)
        down, propagated = RULE_FUNCTIONS[ctx.rule.kind](replace(ctx.found, a=a), ctx.rule, z, g)
        ctx.count(g, z, propagated)
        rest = (None,) * 5
        return (None, down, *rest) if ctx.first else (down, None, *rest)
