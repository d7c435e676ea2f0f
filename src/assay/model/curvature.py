# SPDX-License-Identifier: Apache-2.0
"""Gradients that can be differentiated once more, and second derivatives along a direction."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from assay.basics.types import Array


def live_slope(total: Callable[[Array], Array], x: Array, again: Callable[[], None]) -> Array:
    """The gradient of the number ``total(x)``, which autograd can differentiate by ``x`` once more.

    Nothing is kept between the passes: the backward pass runs ``total`` again, calling ``again`` to have that counted,
    and differentiates twice. So an explanation of many gradients needs the memory of one.
    """
    slope: Array = _function().apply(x, total, again)
    return slope


def bent(total: Callable[[Array], Array], x: Array, along: Array) -> Array:
    """The Hessian of the number ``total(x)`` times ``along``: how its gradient moves when ``x`` moves so."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative
        x = x.detach().requires_grad_(True)
        slope = torch.autograd.grad(total(x), x, create_graph=True, materialize_grads=True)[0]
        if not slope.requires_grad:
            return torch.zeros_like(x)
        return torch.autograd.grad(slope, x, along, materialize_grads=True)[0]


@cache
def _function() -> Any:
    import torch

    class Slope(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Array, total: Callable[[Array], Array], again: Callable[[], None]) -> Array:
            ctx.total, ctx.again = total, again
            ctx.save_for_backward(x)
            with torch.enable_grad():
                x = x.detach().requires_grad_(True)
                return torch.autograd.grad(total(x), x, materialize_grads=True)[0]

        @staticmethod
        def backward(ctx: Any, along: Array) -> tuple[Array | None, None, None]:
            ctx.again()
            with torch.enable_grad():
                x = ctx.saved_tensors[0].detach().requires_grad_(True)
                slope = torch.autograd.grad(ctx.total(x), x, create_graph=True, materialize_grads=True)[0]
                if not slope.requires_grad:
                    return None, None, None
                return torch.autograd.grad(slope, x, along, allow_unused=True)[0], None, None

    return Slope
