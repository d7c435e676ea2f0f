# SPDX-License-Identifier: Apache-2.0
"""DeepLIFT's Rescale rule: every operation runs on the input and on a reference, and gets the slope between them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from types import BuiltinFunctionType
from typing import Any

import torch
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from assay.model.model import Returned
from assay.model.rules import steps
from assay.model.rules.interception import Args, Interception, Kwargs, mapped, named, tensors
from assay.model.rules.vocabulary import (
    CURVES,
    JOINS,
    KINKED,
    POOLS,
    SILENT,
    SMOOTH,
    STRUCTURE,
    SUMS,
    WEIGHTED,
)

PLAIN = STRUCTURE | SUMS | JOINS
UNARY = KINKED | SMOOTH | CURVES
FUSED = frozenset({"addmm", "baddbmm", "addbmm", "addmv", "addr"})
PRODUCTS = (WEIGHTED | {"mul", "multiply"}) - FUSED
QUOTIENTS = frozenset({"div", "divide", "true_divide"})


class Secant:
    """The table of DeepLIFT.

    A function of single numbers gets its secant slope (f(x) − f(s)) / (x − s), a product the midpoint of the other
    factor, a maximum the slope between where each side finds its own; softmax, norms and attention are taken apart into
    those. So Σ (x − s) · slope = f(x) − f(s), whatever the net.
    """

    folded = False

    def __init__(self, who: str) -> None:
        self.who = who
        self.references: Any = WeakTensorKeyDictionary()
        self.mode = Interception(self)
        self.decomposed = _decomposed(self)

    def begin(self, x: torch.Tensor, start: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """x = s + (x − s) · u: the derivative by u, at 1, is the contribution (x − s) · slope."""
        assert start is not None
        unit = torch.ones_like(x).requires_grad_(True)
        moved = start + (x - start) * unit
        self.references[moved] = start
        return unit, moved

    def end(self, values: torch.Tensor, total: torch.Tensor) -> Returned:
        """Contributions, and the target at the reference."""
        return Returned(values.detach(), start=self.references[total].detach())

    def follows(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor has a reference of its own."""
        return tensor in self.references

    def step(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, written: bool) -> Any:
        """One operation on both sides."""
        if name in SILENT:
            return func(*args, **kwargs)
        if written and not self.follows(args[0]):
            self.references[args[0]] = args[0].detach().clone()
        steps.refuse_chance(self.who, name, args, kwargs)
        if name in PLAIN or name == "batch_norm":
            return self._both(func, args, kwargs, written)
        if not written:
            return self._ruled(name, func, args, kwargs)
        held = args[0].clone()
        self.references[held] = self.references[args[0]].clone()
        new = self._ruled(name, steps.out_of_place(name), (held, *args[1:]), steps.without(kwargs, "inplace"))
        args[0].copy_(new)
        self.references[args[0]].copy_(self.references[new])
        return args[0]

    def _both(self, func: Callable[..., Any], args: Args, kwargs: Kwargs, written: bool) -> Any:
        """An operation that needs no rule, run on both sides."""
        out = func(*args, **kwargs)
        with torch.no_grad():
            beside = func(*self._reference(args), **self._reference(kwargs))
        if not written and out is not None:
            for one, other in zip(tensors(out), tensors(beside)):
                if one.is_floating_point():
                    self.references[one] = other
        return out

    def _reference(self, tree: Any) -> Any:
        return mapped(tree, lambda tensor: self.references.get(tensor, tensor))

    def _ruled(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        """An operation with a rule, run out of place."""
        following = [place for place, tensor in enumerate(tensors((args, kwargs))) if self.follows(tensor)]
        if name in UNARY and len(following) == 1:
            return self._unary(func, args, kwargs)
        if (name in PRODUCTS or name in FUSED) and len(following) == 1:
            return self._both(func, args, kwargs, False)
        if name in PRODUCTS and len(following) == 2:
            return self._product(func, args, kwargs)
        if name in QUOTIENTS and following == [0]:
            return self._both(func, args, kwargs, False)
        if name in POOLS:
            return self._pool(name, func, args, kwargs)
        if name in self.decomposed and not (name in QUOTIENTS and kwargs.get("rounding_mode")):
            with self.mode:
                return self.decomposed[name](*args, **kwargs)
        out = func(*args, **kwargs)
        if not any(tensor.is_floating_point() for tensor in tensors(out)):
            return out
        raise steps.no_rule(
            self.who, name, UNARY | PRODUCTS | POOLS | set(self.decomposed), "Use integrated_gradients or shapley."
        )

    def _unary(self, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> torch.Tensor:
        """(f(x) − f(s)) / (x − s); where x and s are (nearly) one, the derivative at their middle."""
        x = next(tensor for tensor in tensors((args, kwargs)) if self.follows(tensor))
        kinked = named(func, {})[0] in KINKED

        def at(point: torch.Tensor) -> torch.Tensor:
            given, options = mapped((tuple(args), dict(kwargs)), lambda tensor: point if tensor is x else tensor)
            out: torch.Tensor = func(*given, **options)
            return out

        s = self.references[x]
        with torch.no_grad():
            value, beside, gap = at(x), at(s), x - s
            slope = (value - beside).div_(gap)
            same = bool(slope.sum().isnan())  # somewhere x = s; a sum is cheaper than a mask
            near = slope.isnan() if same or not kinked else None
            if near is not None and not kinked:
                width = torch.finfo(x.dtype).eps ** (1 / 3)
                near |= gap.abs_() < width * x.abs().clamp_(min=1)
        if near is not None and bool(near.any()):
            with torch.enable_grad():
                middle = torch.where(x == s, x, (x + s) / 2).detach().requires_grad_(True)
                derivative = torch.autograd.grad(at(middle).sum(), middle)[0]
            slope = torch.where(near, derivative, slope)
        out = steps.sloped(x, value, slope)
        self.references[out] = beside
        return out

    def _product(self, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> torch.Tensor:
        """Δ(ab) = Δa · (b + b′)/2 + (a + a′)/2 · Δb."""

        def halfway(which: int) -> Any:
            """The arguments with one of the two factors in the middle between input and reference."""
            place = count()

            def moved(tensor: torch.Tensor) -> torch.Tensor:
                if not self.follows(tensor) or next(place) != which:
                    return tensor
                return ((tensor + self.references[tensor]) / 2).detach()

            return mapped(tuple(args), moved)

        with torch.no_grad():
            value, beside = func(*args, **kwargs), func(*self._reference(tuple(args)), **kwargs)
        out = steps.straight(func(*halfway(1), **kwargs) + func(*halfway(0), **kwargs), value)
        self.references[out] = beside
        return out

    def _greatest(self, x: torch.Tensor, find: Callable[[torch.Tensor], Any], axes: int) -> tuple[Any, Any]:
        """A maximum, found by ``find`` → (value, place among the last ``axes`` axes); and its place.

        The maxima v at i and v′ of the reference at j: the rise v − v′ falls to i where it is one, to j where it is a
        drop. Slopes lie between 0 and 1.
        """
        s = self.references[x]

        def read(tensor: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
            return tensor.flatten(-axes).gather(-1, place.flatten(-axes)).reshape(place.shape)

        with torch.no_grad():
            value, i = find(x)
            beside, j = find(s)
            rises, drops, still = value > beside, value < beside, (value == beside) & (i == j)
            one = torch.ones_like(value)
            up = torch.where(
                rises, (value - beside) / torch.where(rises, value - read(s, i), one), still.to(value.dtype)
            )
            down = torch.where(drops, (value - beside) / torch.where(drops, read(x, j) - beside, one), 0.0)
        out = steps.straight(read(x, i) * up + read(x, j) * down, value)
        self.references[out] = beside
        return out, i

    def _pool(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        """Max pooling; torch's operation gives places only where they are asked for."""
        pool = getattr(functional, name.removesuffix("_with_indices"))
        x, *rest = args
        options = {key: value for key, value in kwargs.items() if key != "return_indices"}
        out, places = self._greatest(
            x, lambda t: pool(t, *rest, **options, return_indices=True), int(pool.__name__[-2])
        )
        several = name.startswith("adaptive") and isinstance(func, BuiltinFunctionType)
        return (out, places) if several or name.endswith("_indices") or kwargs.get("return_indices") else out

    def _extreme(self, x: torch.Tensor, dim: int, keepdim: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """The largest along one axis, and where."""
        along = x.movedim(dim, -1).contiguous() if x.ndim else x[None]
        if along is not x:
            self.references[along] = (
                self.references[x].movedim(dim, -1).contiguous() if x.ndim else self.references[x][None]
            )
        with steps.outside():
            value, place = self._greatest(along, lambda t: torch.max(t, -1, keepdim=True), 1)
        return (value.movedim(-1, dim), place.movedim(-1, dim)) if keepdim else (value.squeeze(-1), place.squeeze(-1))


def _decomposed(table: Secant) -> dict[str, Callable[..., Any]]:
    """Operations written as simpler ones, which the table meets in turn."""

    def top(x: torch.Tensor, dim: Any) -> torch.Tensor:
        """A shift that keeps exponentials in range: each side's own largest, so that neither outgrows the other."""
        if isinstance(dim, int):
            return table._extreme(x, dim, True)[0]
        with torch.no_grad(), steps.outside():
            return (torch.amax(x, dim, keepdim=True) + torch.amax(table.references[x], dim, keepdim=True)) / 2

    def typed(x: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
        return x if dtype is None else x.to(dtype)  # the table leaves narrowing out

    def softmax(x: torch.Tensor, dim: int, dtype: Any = None, **_: Any) -> torch.Tensor:
        x = typed(x, dtype)
        return steps.softmax(x, dim, top(x, dim))

    def log_softmax(x: torch.Tensor, dim: int, dtype: Any = None, **_: Any) -> torch.Tensor:
        x = typed(x, dtype)
        return steps.log_softmax(x, dim, top(x, dim))

    def maximum(x: torch.Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        if isinstance(dim, torch.Tensor):
            return dim + torch.relu(x - dim)
        if dim is None:
            return table._extreme(x.flatten(), 0, False)[0]
        return torch.return_types.max(table._extreme(x, dim, keepdim))

    def minimum(x: torch.Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        if isinstance(dim, torch.Tensor):
            return dim - torch.relu(dim - x)
        if dim is None:
            return -table._extreme((-x).flatten(), 0, False)[0]
        values, places = table._extreme(-x, dim, keepdim)
        return torch.return_types.min((-values, places))

    def amax(x: torch.Tensor, dim: Any = (), keepdim: bool = False) -> torch.Tensor:
        axes = tuple(range(x.ndim)) if dim in ((), None) else (dim,) if isinstance(dim, int) else tuple(dim)
        for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
            x = table._extreme(x, axis, keepdim)[0]
        return x

    return {
        **steps.COMMON,
        "softmax": softmax,
        "log_softmax": log_softmax,
        "logsumexp": lambda x, dim, keepdim=False: steps.logsumexp(x, dim, top(x, dim), keepdim),
        "max": maximum,
        "maximum": maximum,
        "fmax": maximum,
        "min": minimum,
        "minimum": minimum,
        "fmin": minimum,
        "amax": amax,
        "amin": lambda x, dim=(), keepdim=False: -amax(-x, dim, keepdim),
    }
