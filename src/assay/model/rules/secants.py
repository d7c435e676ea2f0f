# SPDX-License-Identifier: Apache-2.0
"""Secant slopes (f(x) − f(s)) / (x − s) of elementwise functions, free of cancellation where a formula allows it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from assay.model.rules.interception import Args, Kwargs, map_tensors
from assay.model.rules.operation_names import PIECEWISE_LINEAR

Tensor = torch.Tensor

EXPONENTS = {0.5: "sqrt", -0.5: "rsqrt", -1.0: "reciprocal", 2.0: "square"}
"""Powers with a name of their own."""


def secant(name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, x: Tensor, s: Tensor) -> Tensor:
    """The slope between ``s`` and ``x`` of the call ``func(…, x, …)``; the derivative where they (nearly) agree.

    Half precision is computed in float32.
    """
    if torch.finfo(x.dtype).bits < 32:
        args, kwargs = map_tensors((tuple(args), dict(kwargs)), lambda t: _float(t) if t is not x else t)
        wide = _float(x)
        args, kwargs = map_tensors((args, kwargs), lambda t: wide if t is x else t)
        return secant(name, func, args, kwargs, wide, _float(s)).to(x.dtype)
    formula = FORMULAS.get(plain_name(name, args))
    if formula is not None and args and args[0] is x:
        with torch.no_grad():
            return formula(x, s)
    return _difference(name, func, args, kwargs, x, s)


def plain_name(name: str, args: Args) -> str:
    """The name of an operation, a power by the root or the square that it is."""
    exponent = args[1] if name == "pow" and len(args) > 1 else None
    return EXPONENTS.get(float(exponent), name) if isinstance(exponent, int | float) else name


def _float(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _difference(name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, x: Tensor, s: Tensor) -> Tensor:
    """The difference of two values over that of the points; near each other, the derivative at their midpoint."""
    piecewise_linear = name in PIECEWISE_LINEAR

    def at(point: Tensor) -> Tensor:
        given, options = map_tensors((tuple(args), dict(kwargs)), lambda tensor: point if tensor is x else tensor)
        out: Tensor = func(*given, **options)
        return out

    with torch.no_grad():
        gap = x - s
        slope = (at(x) - at(s)).div_(gap)
        any_equal = bool(slope.sum().isnan())  # somewhere x = s; a sum is cheaper than a mask
        near = slope.isnan() if any_equal or not piecewise_linear else None
        if near is not None and not piecewise_linear:
            size = x.abs() if name == "pow" else x.abs().clamp_(min=1)  # a power changes on the scale of its base
            near |= gap.abs_() < torch.finfo(x.dtype).eps ** (1 / 3) * size
    if near is None or not bool(near.any()):
        return slope
    with torch.enable_grad():
        middle = torch.where(x == s, x, (x + s) / 2).detach().requires_grad_(True)
        derivative = torch.autograd.grad(at(middle).sum(), middle)[0]
    return torch.where(near, derivative, slope)


def _square_root(x: Tensor, s: Tensor) -> Tensor:
    """1 / (√x + √s), and 0 where both are 0, as the derivative of torch's norms."""
    total = x.sqrt() + s.sqrt()
    return torch.where(total == 0, 0, total.reciprocal())


def _inverse_root(x: Tensor, s: Tensor) -> Tensor:
    """−1 / (√x √s (√x + √s))."""
    one, other = x.sqrt(), s.sqrt()
    return -(one * other * (one + other)).reciprocal()


def _exponential(x: Tensor, s: Tensor) -> Tensor:
    """e^max · (1 − e^(−|x − s|)) / |x − s|."""
    gap = (x - s).abs()
    return torch.maximum(x, s).exp() * torch.where(x == s, 1, -torch.expm1(-gap) / gap)


def _logarithm(x: Tensor, s: Tensor) -> Tensor:
    """log(1 + |x − s| / min) / |x − s|."""
    gap, low = (x - s).abs(), torch.minimum(x, s)
    return torch.where(x == s, x.reciprocal(), torch.log1p(gap / low) / gap)


FORMULAS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sqrt": _square_root,
    "rsqrt": _inverse_root,
    "reciprocal": lambda x, s: -(x * s).reciprocal(),
    "square": lambda x, s: x + s,
    "exp": _exponential,
    "expm1": _exponential,
    "exp2": lambda x, s: math.log(2) * _exponential(x * math.log(2), s * math.log(2)),
    "log": _logarithm,
    "log1p": lambda x, s: _logarithm(x + 1, s + 1),
    "log2": lambda x, s: _logarithm(x, s) / math.log(2),
    "log10": lambda x, s: _logarithm(x, s) / math.log(10),
}
"""Exact slopes of functions whose values change by orders of magnitude, where a difference would lose all digits."""
