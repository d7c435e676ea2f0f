# SPDX-License-Identifier: Apache-2.0
"""Weighted sums, whichever function computes them: z = apply(a, W) + b."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch.nn.grad import conv1d_input, conv2d_input, conv3d_input

from assay.model.rules.interception import Args, Kwargs

Adjoint = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
Apply = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

CONVOLUTIONS = frozenset(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3))
LINEAR = frozenset({"linear", *CONVOLUTIONS})


@dataclass(frozen=True, eq=False)
class Weighted:
    """One weighted sum: its input, weights and bias, how they are put together, and the way back.

    ``axis`` is the axis of the weights that runs over outputs, ``None`` where there is no one such; ``bias`` broadcasts
    against z. ``adjoint(g, W, like a)`` is Σ over outputs of g · w; ``None`` where torch has to derive it.
    """

    a: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    apply: Apply
    axis: int | None
    convolution: bool
    adjoint: Adjoint | None = None

    @cached_property
    def negative(self) -> bool:
        """Whether the input is anywhere below 0."""
        return bool(self.a.min() < 0) if self.a.numel() else False

    def back(self, g: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Σ over outputs of g · w, shaped like the input."""
        if self.adjoint is not None:
            return self.adjoint(g, weight, self.a)
        with torch.enable_grad():
            leaf = torch.zeros_like(self.a).requires_grad_(True)
            return torch.autograd.grad(self.apply(leaf, weight), leaf, g)[0]

    def scaled(self, scale: torch.Tensor, shift: torch.Tensor) -> Weighted:
        """The same sum followed by a batch norm (scale and shift by output): weights and bias merged."""
        assert self.axis is not None
        wide = [1] * self.weight.ndim
        wide[self.axis] = -1
        weight = self.weight * scale.reshape(wide)
        flat = scale.reshape(-1, *(1,) * (self.a.ndim - 2))
        moved = shift.reshape(flat.shape)
        bias = moved if self.bias is None else self.bias * flat + moved
        return replace(self, weight=weight, bias=bias)


def weighted(
    name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, follows: Callable[[Any], bool]
) -> Weighted | None:
    """A call with one operand that follows the input, as a weighted sum; ``None`` where two do."""
    if name in LINEAR:
        given = dict(zip(("input", "weight", "bias"), args)) | dict(kwargs)
        a, weight, bias = given.pop("input"), given.pop("weight"), given.pop("bias", None)
        rest = args[3:]
        if follows(weight) or follows(bias):
            return None
        wide = bias if bias is None or name == "linear" else bias.reshape(-1, *(1,) * (a.ndim - 2))
        return Weighted(
            a,
            weight,
            wide,
            lambda x, w: func(x, w, None, *rest, **given),
            _outputs(name, rest, given),
            name != "linear",
            _adjoint(name, rest, given),
        )
    if name in ("addmm", "baddbmm", "addmv"):
        bias, *operands = args
        beta, alpha = kwargs.get("beta", 1), kwargs.get("alpha", 1)
        if follows(bias):
            return None
        product: Any = {"addmm": torch.mm, "baddbmm": torch.bmm, "addmv": torch.mv}[name]
        made = _two(lambda x, y: alpha * product(x, y), operands, follows)
        return None if made is None else replace(made, bias=beta * bias)
    if name == "einsum":
        equation, *operands = args
        operands = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
        return _two(lambda x, y: torch.einsum(equation, x, y), operands, follows) if len(operands) == 2 else None
    return _two(lambda x, y: func(x, y, *args[2:], **kwargs), list(args[:2]), follows)


def _outputs(name: str, rest: Args, given: Kwargs) -> int | None:
    """The axis of the weights that runs over outputs."""
    if "transpose" not in name:
        return 0
    groups = given.get("groups", rest[3] if len(rest) > 3 else 1)
    return 1 if groups == 1 else None


def _adjoint(name: str, rest: Args, given: Kwargs) -> Adjoint | None:
    """The way back that torch has under a name of its own."""
    if name == "linear":
        return lambda g, w, a: torch.matmul(g, w)
    known: dict[str, Any] = {"conv1d": conv1d_input, "conv2d": conv2d_input, "conv3d": conv3d_input}
    back = known.get(name)
    names = ("stride", "padding", "dilation", "groups")
    options: dict[str, Any] = dict(zip(names, rest)) | dict(given)
    if back is None or isinstance(options.get("padding"), str):
        return None
    return lambda g, w, a: back(list(a.shape), w, g, **options)


def _two(product: Callable[[Any, Any], torch.Tensor], operands: list[Any], follows: Any) -> Weighted | None:
    """A product of two, one of which is a constant."""
    first, second = (follows(one) for one in operands)
    if first and second:
        return None
    a, weight = operands if first else operands[::-1]
    apply: Apply = product if first else (lambda x, w: product(w, x))
    return Weighted(a, weight, None, apply, -1, False)
