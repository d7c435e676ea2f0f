# SPDX-License-Identifier: Apache-2.0
"""Weighted sums z = apply(a, W) + b: dense layers, convolutions, matrix products and einsum in one form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from assay.model.rules import operations
from assay.model.rules.interception import Args, Kwargs

Adjoint = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
Apply = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

CONVOLUTIONS = frozenset(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3))
LINEAR = frozenset({"linear", *CONVOLUTIONS})


@dataclass(frozen=True, eq=False)
class WeightedSum:
    """One weighted sum: its input, weights and bias, the function that combines them, and its adjoint.

    ``axis`` is the axis of the weights that runs over outputs, ``None`` where no single axis does; ``inner`` are the
    axes of inputs and weights that are summed over, where each output reads all inputs; ``bias`` broadcasts against z.
    ``adjoint(g, W, like a)`` is Σ over outputs of g · w; ``None`` where torch's autograd computes it.
    """

    a: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    apply: Apply
    axis: int | None
    convolution: bool
    adjoint: Adjoint | None = None
    inner: tuple[int, int] | None = None

    @cached_property
    def signs(self) -> tuple[bool, bool]:
        """Whether the input has values above 0, and values below 0 (both true where a value is NaN)."""
        if self.a.numel() == 0:
            return False, False
        low, high = torch.aminmax(self.a)
        return not high <= 0, not low >= 0

    @cached_property
    def halves(self) -> torch.Tensor:
        """The input's positive and negative parts, concatenated on the inner axis."""
        assert self.inner is not None
        return torch.cat((self.a.clamp(min=0), self.a.clamp(max=0)), self.inner[0])

    def back(self, g: torch.Tensor, weight: torch.Tensor, like: torch.Tensor | None = None) -> torch.Tensor:
        """Σ over outputs of g · w, in the shape of the input (or of ``like``)."""
        like = self.a if like is None else like
        if self.adjoint is not None:
            return self.adjoint(g, weight, like)
        with torch.enable_grad():
            leaf = torch.zeros_like(like).requires_grad_(True)
            return torch.autograd.grad(self.apply(leaf, weight), leaf, g)[0]

    def scaled(self, scale: torch.Tensor, shift: torch.Tensor) -> WeightedSum:
        """The same sum followed by a batch norm (scale and shift by output): weights and bias merged."""
        assert self.axis is not None
        wide = [1] * self.weight.ndim
        wide[self.axis] = -1
        weight = self.weight * scale.reshape(wide)
        flat = scale.reshape(-1, *(1,) * (self.a.ndim - 2))
        offset = shift.reshape(flat.shape)
        bias = offset if self.bias is None else self.bias * flat + offset
        return replace(self, weight=weight, bias=bias)


def as_weighted_sum(
    name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, is_tracked: Callable[[Any], bool]
) -> WeightedSum | None:
    """A call with one operand that depends on the input, as a weighted sum; ``None`` where two depend on it."""
    if name in LINEAR:
        given = dict(zip(("input", "weight", "bias"), args)) | dict(kwargs)
        a, weight, bias = given.pop("input"), given.pop("weight"), given.pop("bias", None)
        rest = args[3:]
        if is_tracked(weight) or is_tracked(bias):
            return None
        wide = bias if bias is None or name == "linear" else bias.reshape(-1, *(1,) * (a.ndim - 2))
        return WeightedSum(
            a,
            weight,
            wide,
            lambda x, w: func(x, w, None, *rest, **given),
            _output_axis(name, rest, given),
            name != "linear",
            _adjoint(name, rest, given),
            _inner_axes(name, rest, given),
        )
    if name in operations.FUSED:
        bias, *operands = args
        beta, alpha = kwargs.get("beta", 1), kwargs.get("alpha", 1)
        if is_tracked(bias) and beta != 0:
            return None
        product = operations.FUSED[name]
        found = _product(lambda x, y: alpha * product(x, y), operands, is_tracked)
        return None if found is None else replace(found, bias=None if beta == 0 else beta * bias)
    if name == "einsum":
        equation, *operands = args
        operands = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
        return _product(lambda x, y: torch.einsum(equation, x, y), operands, is_tracked) if len(operands) == 2 else None
    return _product(lambda x, y: func(x, y, *args[2:], **kwargs), list(args[:2]), is_tracked)


def _output_axis(name: str, rest: Args, given: Kwargs) -> int | None:
    """The axis of the weights that runs over outputs."""
    if "transpose" not in name:
        return 0
    return 1 if _groups(rest, given) == 1 else None


def _inner_axes(name: str, rest: Args, given: Kwargs) -> tuple[int, int] | None:
    """The axes of inputs and weights that are summed over; ``None`` for convolutions in groups."""
    if name == "linear":
        return -1, 1
    if _groups(rest, given) != 1:
        return None
    return (1, 0) if "transpose" in name else (1, 1)


def _groups(rest: Args, given: Kwargs) -> int:
    return int(given.get("groups", rest[3] if len(rest) > 3 else 1))


def _adjoint(name: str, rest: Args, given: Kwargs) -> Adjoint | None:
    """The adjoint that torch has as a function, if there is one.

    ``torch.nn.grad`` has it, too, but it gets no input and so loses the memory format of images: 3 to 11 × slower.
    """
    if name == "linear":
        return lambda g, w, a: torch.matmul(g, w)
    options: dict[str, Any] = dict(zip(("stride", "padding", "dilation", "groups"), rest)) | dict(given)
    if name not in ("conv1d", "conv2d", "conv3d") or isinstance(options.get("padding"), str):
        return None
    wide = int(name[4])
    where = [options.get(key, usual) for key, usual in (("stride", 1), ("padding", 0), ("dilation", 1))]
    spread = [[one] * wide if isinstance(one, int) else list(one) * (wide if len(one) == 1 else 1) for one in where]

    def back(g: torch.Tensor, w: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        only_input, no_padding = (True, False, False), [0] * wide
        backward = torch.ops.aten.convolution_backward
        gradients = backward(g, a, w, None, *spread, False, no_padding, options.get("groups", 1), only_input)
        input_gradient: torch.Tensor = gradients[0]
        return input_gradient

    return back


def _product(product: Callable[[Any, Any], torch.Tensor], operands: list[Any], is_tracked: Any) -> WeightedSum | None:
    """A product of two operands, one of which is constant; ``None`` where both depend on the input."""
    first, second = (is_tracked(one) for one in operands)
    if first and second:
        return None
    a, weight = operands if first else operands[::-1]
    apply: Apply = product if first else (lambda x, w: product(w, x))
    return WeightedSum(a, weight, None, apply, -1, False)
