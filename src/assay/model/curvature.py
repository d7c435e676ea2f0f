# SPDX-License-Identifier: Apache-2.0
"""Gradients that autograd can differentiate once more, and Hessian-vector products."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from assay.basics.types import Array
from assay.model.pass_locks import kernel_settings


def differentiable_gradient(total: Callable[[Array], Array], x: Array, count: Callable[[], None]) -> Array:
    """The gradient of the number ``total(x)``, which autograd can differentiate by ``x`` once more.

    No graph is stored between the passes: the backward pass runs ``total`` again, calls ``count`` so that the pass is
    counted, and differentiates twice. So an explanation of many gradients needs the memory of one.
    """
    gradient: Array = _function().apply(x, total, count)
    return gradient


def hessian_vector_product(total: Callable[[Array], Array], x: Array, along: Array) -> Array:
    """The Hessian of the number ``total(x)`` times ``along``: the derivative of its gradient along that direction."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with torch.enable_grad(), kernel_settings(sdpa_kernel(SDPBackend.MATH)):  # fused attention has no second derivative
        x = x.detach().requires_grad_(True)
        gradient = torch.autograd.grad(total(x), x, create_graph=True, materialize_grads=True)[0]
        if not gradient.requires_grad:
            return torch.zeros_like(x)
        return torch.autograd.grad(gradient, x, along, materialize_grads=True)[0]


@cache
def _function() -> Any:
    import torch

    class DifferentiableGradient(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Array, total: Callable[[Array], Array], count: Callable[[], None]) -> Array:
            ctx.total, ctx.count = total, count
            ctx.save_for_backward(x)
            with torch.enable_grad():
                x = x.detach().requires_grad_(True)
                return torch.autograd.grad(total(x), x, materialize_grads=True)[0]

        @staticmethod
        def backward(ctx: Any, along: Array) -> tuple[Array | None, None, None]:
            ctx.count()
            with torch.enable_grad():
                x = ctx.saved_tensors[0].detach().requires_grad_(True)
                gradient = torch.autograd.grad(ctx.total(x), x, create_graph=True, materialize_grads=True)[0]
                if not gradient.requires_grad:
                    return None, None, None
                return torch.autograd.grad(gradient, x, along, allow_unused=True)[0], None, None

    return DifferentiableGradient
