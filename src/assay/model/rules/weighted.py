# SPDX-License-Identifier: Apache-2.0
"""Weighted sums, whichever function computes them: z = apply(a, W) + b."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from assay.model.rules.interception import Args, Kwargs

Adjoint = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
Apply = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

CONVOLUTIONS = frozenset(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3))
LINEAR = frozenset({"linear", *CONVOLUTIONS})


@dataclass(frozen=True, eq=False)
class Weighted:
    """One weighted sum: its input, weights and bias, how they are put together, and the way back.

    ``axis`` is the axis of the weights that runs over outputs, ``None`` where there is no one such; ``inner`` are the
    axes of inputs and weights that are summed over, where each output reads them all; ``bias`` broadcasts against z.
    ``adjoint(g, W, like a)`` is Σ over outputs of g · w; ``None`` where torch has to derive it.
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
        """Whether the input is anywhere above 0, and anywhere below (both where a number is missing)."""
        if self.a.numel() == 0:
            return False, False
        low, high = torch.aminmax(self.a)
        return not high <= 0, not low >= 0

    @cached_property
    def halves(self) -> torch.Tensor:
        """The input's positive and negative parts, side by side on the inner axis."""
        assert self.inner is not None
        return torch.cat((self.a.clamp(min=0), self.a.clamp(max=0)), self.inner[0])

    def back(self, g: torch.Tensor, weight: torch.Tensor, like: torch.Tensor | None = None) -> torch.Tensor:
        """Σ over outputs of g · w, shaped like the input (or another)."""
        like = self.a if like is None else like
        if self.adjoint is not None:
            return self.adjoint(g, weight, like)
        with torch.enable_grad():
            leaf = torch.zeros_like(like).requires_grad_(True)
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
            _inner(name, rest, given),
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
    return 1 if _groups(rest, given) == 1 else None


def _inner(name: str, rest: Args, given: Kwargs) -> tuple[int, int] | None:
    """The axes of inputs and weights that are summed over, where no output reads a group of them only."""
    if name == "linear":
        return -1, 1
    if _groups(rest, given) != 1:
        return None
    return (1, 0) if "transpose" in name else (1, 1)


def _groups(rest: Args, given: Kwargs) -> int:
    return int(given.get("groups", rest[3] if len(rest) > 3 else 1))


def _adjoint(name: str, rest: Args, given: Kwargs) -> Adjoint | None:
    """The way back that torch has under a name of its own.

    ``torch.nn.grad`` has it, too, but without the input it forgets how pictures lie in memory: 3 to 11 × slower.
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
        asked, none = (True, False, False), [0] * wide
        plain = torch.ops.aten.convolution_backward
        found: torch.Tensor = plain(g, a, w, None, *spread, False, none, options.get("groups", 1), asked)[0]
        return found

    return back


def _two(product: Callable[[Any, Any], torch.Tensor], operands: list[Any], follows: Any) -> Weighted | None:
    """A product of two, one of which is a constant."""
    first, second = (follows(one) for one in operands)
    if first and second:
        return None
    a, weight = operands if first else operands[::-1]
    apply: Apply = product if first else (lambda x, w: product(w, x))
    return Weighted(a, weight, None, apply, -1, False)
