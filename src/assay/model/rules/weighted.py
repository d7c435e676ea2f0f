# SPDX-License-Identifier: Apache-2.0
"""Weighted sums, whichever function computes them: z = apply(a, W) + b."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from assay.model.rules.interception import Args, Kwargs

Apply = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

CONVOLUTIONS = frozenset(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3))
LINEAR = frozenset({"linear", *CONVOLUTIONS})


@dataclass(frozen=True, eq=False)
class Weighted:
    """One weighted sum: its input, weights and bias, and how they are put together.

    ``axis`` is the axis of the weights that runs over outputs; ``bias`` broadcasts against z. ``unit`` is what the
    input's relevance is the derivative by, where the input is the net's own (``None`` further up).
    """

    a: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    apply: Apply
    axis: int
    convolution: bool
    unit: torch.Tensor | None = None

    def scaled(self, scale: torch.Tensor, shift: torch.Tensor) -> Weighted:
        """The same sum followed by a batch norm (scale and shift by output): weights and bias merged."""
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
        transposed = "transpose" in name
        if transposed and len(rest) > 3 and rest[3] != 1:
            return None  # grouped: outputs are spread over two axes of the weights
        wide = bias if bias is None or name == "linear" else bias.reshape(-1, *(1,) * (a.ndim - 2))
        return Weighted(
            a,
            weight,
            wide,
            lambda x, w: func(x, w, None, *rest, **given),
            1 if transposed else 0,
            name != "linear",
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


def _two(product: Callable[[Any, Any], torch.Tensor], operands: list[Any], follows: Any) -> Weighted | None:
    """A product of two, one of which is a constant."""
    first, second = (follows(one) for one in operands)
    if first and second:
        return None
    a, weight = operands if first else operands[::-1]
    apply: Apply = product if first else (lambda x, w: product(w, x))
    return Weighted(a, weight, None, apply, -1, False)
