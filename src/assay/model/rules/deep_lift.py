# SPDX-License-Identifier: Apache-2.0
"""DeepLIFT's Rescale rule: every operation runs on input and reference, and its derivative is the slope between."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from types import BuiltinFunctionType
from typing import Any

import torch
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from assay.model.model import BackwardResult
from assay.model.rules import operations
from assay.model.rules.interception import Args, Interception, Kwargs, map_tensors, operation_name, tensors
from assay.model.rules.operation_names import (
    CURVES,
    JOINS,
    PIECEWISE_LINEAR,
    POOLS,
    QUERIES,
    SMOOTH,
    STRUCTURE,
    SUMS,
    WEIGHTED,
)

PLAIN = STRUCTURE | SUMS | JOINS
UNARY = PIECEWISE_LINEAR | SMOOTH | CURVES
FUSED = frozenset({"addmm", "baddbmm", "addbmm", "addmv", "addr"})
PRODUCTS = (WEIGHTED | {"mul", "multiply"}) - FUSED
QUOTIENTS = frozenset({"div", "divide", "true_divide"})


class DeepLiftRules:
    """DeepLIFT's rules of operations, with the reference of every tensor that depends on the input.

    The derivative of an elementwise function is its secant slope (f(x) − f(s)) / (x − s); that of a product the
    midpoint of the other factor; that of a maximum the slope between the positions of the two maxima. Softmax, norms
    and attention are decomposed into those. So Σ (x − s) · slope = f(x) − f(s) for every net.
    """

    allows_folding = False

    def __init__(self, method: str) -> None:
        self.method = method
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

    def end(self, values: torch.Tensor, total: torch.Tensor) -> BackwardResult:
        """The contributions, and the target at the reference."""
        return BackwardResult(values.detach(), start=self.references[total].detach())

    def is_tracked(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor depends on the input, and so has a reference."""
        return tensor in self.references

    def run_operation(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, in_place: bool) -> Any:
        """Run one operation on the input's tensors and on their references."""
        if name in QUERIES:
            return func(*args, **kwargs)
        if in_place and not self.is_tracked(args[0]):
            self.references[args[0]] = args[0].detach().clone()
        operations.refuse_randomness(self.method, name, args, kwargs)
        if name in PLAIN or name == "batch_norm":
            return self._run_both(func, args, kwargs, in_place)
        if not in_place:
            return self._apply_rule(name, func, args, kwargs)
        first = args[0].clone()
        self.references[first] = self.references[args[0]].clone()
        func, kwargs = operations.out_of_place(name), operations.without(kwargs, "inplace")
        new = self._apply_rule(name, func, (first, *args[1:]), kwargs)
        args[0].copy_(new)
        self.references[args[0]].copy_(self.references[new])
        return args[0]

    def _run_both(self, func: Callable[..., Any], args: Args, kwargs: Kwargs, in_place: bool) -> Any:
        """Run an operation that needs no rule, on tensors and references."""
        out = func(*args, **kwargs)
        with torch.no_grad():
            reference = func(*self._reference(args), **self._reference(kwargs))
        if not in_place and out is not None:
            for one, other in zip(tensors(out), tensors(reference)):
                if one.is_floating_point():
                    self.references[one] = other
        return out

    def _reference(self, tree: Any) -> Any:
        return map_tensors(tree, lambda tensor: self.references.get(tensor, tensor))

    def _apply_rule(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        """Run an operation with a rule, out of place."""
        tracked = [position for position, tensor in enumerate(tensors((args, kwargs))) if self.is_tracked(tensor)]
        if name in UNARY and len(tracked) == 1:
            return self._unary(func, args, kwargs)
        if (name in PRODUCTS or name in FUSED) and len(tracked) == 1:
            return self._run_both(func, args, kwargs, False)
        if name in PRODUCTS and len(tracked) == 2:
            return self._product(func, args, kwargs)
        if name in QUOTIENTS and tracked == [0]:
            return self._run_both(func, args, kwargs, False)
        if name in POOLS:
            return self._pool(name, func, args, kwargs)
        if name in self.decomposed and not (name in QUOTIENTS and kwargs.get("rounding_mode")):
            with self.mode:
                return self.decomposed[name](*args, **kwargs)
        out = func(*args, **kwargs)
        if not any(tensor.is_floating_point() for tensor in tensors(out)):
            return out
        raise operations.missing_rule_error(
            self.method, name, UNARY | PRODUCTS | POOLS | set(self.decomposed), "Use integrated_gradients or shapley."
        )

    def _unary(self, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> torch.Tensor:
        """(f(x) − f(s)) / (x − s); where x and s are (nearly) equal, the derivative at their midpoint."""
        x = next(tensor for tensor in tensors((args, kwargs)) if self.is_tracked(tensor))
        piecewise_linear = operation_name(func, {})[0] in PIECEWISE_LINEAR

        def at(point: torch.Tensor) -> torch.Tensor:
            given, options = map_tensors((tuple(args), dict(kwargs)), lambda tensor: point if tensor is x else tensor)
            out: torch.Tensor = func(*given, **options)
            return out

        s = self.references[x]
        with torch.no_grad():
            value, reference, gap = at(x), at(s), x - s
            slope = (value - reference).div_(gap)
            any_equal = bool(slope.sum().isnan())  # somewhere x = s; a sum is cheaper than a mask
            near = slope.isnan() if any_equal or not piecewise_linear else None
            if near is not None and not piecewise_linear:
                width = torch.finfo(x.dtype).eps ** (1 / 3)
                near |= gap.abs_() < width * x.abs().clamp_(min=1)
        if near is not None and bool(near.any()):
            with torch.enable_grad():
                middle = torch.where(x == s, x, (x + s) / 2).detach().requires_grad_(True)
                derivative = torch.autograd.grad(at(middle).sum(), middle)[0]
            slope = torch.where(near, derivative, slope)
        out = operations.with_derivative(x, value, slope)
        self.references[out] = reference
        return out

    def _product(self, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> torch.Tensor:
        """Δ(ab) = Δa · (b + b′)/2 + (a + a′)/2 · Δb."""

        def halfway(which: int) -> Any:
            """The arguments with one of the two factors at the midpoint between input and reference."""
            position = count()

            def move(tensor: torch.Tensor) -> torch.Tensor:
                if not self.is_tracked(tensor) or next(position) != which:
                    return tensor
                return ((tensor + self.references[tensor]) / 2).detach()

            return map_tensors(tuple(args), move)

        with torch.no_grad():
            value, reference = func(*args, **kwargs), func(*self._reference(tuple(args)), **kwargs)
        out = operations.with_gradient_of(func(*halfway(1), **kwargs) + func(*halfway(0), **kwargs), value)
        self.references[out] = reference
        return out

    def _maximum(self, x: torch.Tensor, find: Callable[[torch.Tensor], Any], axes: int) -> tuple[Any, Any]:
        """A maximum, found by ``find`` → (value, position in the last ``axes`` axes), and its position.

        With the maximum v at position i, and that of the reference v′ at position j, the difference v − v′ is assigned
        to i where it is positive, and to j where it is negative. Slopes lie between 0 and 1.
        """
        s = self.references[x]

        def read(tensor: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
            return tensor.flatten(-axes).gather(-1, position.flatten(-axes)).reshape(position.shape)

        with torch.no_grad():
            value, i = find(x)
            reference, j = find(s)
            rises, drops, equal = value > reference, value < reference, (value == reference) & (i == j)
            one = torch.ones_like(value)
            up = torch.where(
                rises, (value - reference) / torch.where(rises, value - read(s, i), one), equal.to(value.dtype)
            )
            down = torch.where(drops, (value - reference) / torch.where(drops, read(x, j) - reference, one), 0.0)
        out = operations.with_gradient_of(read(x, i) * up + read(x, j) * down, value)
        self.references[out] = reference
        return out, i

    def _pool(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        """Max pooling; torch's operation returns positions only on request."""
        pool = getattr(functional, name.removesuffix("_with_indices"))
        x, *rest = args
        options = {key: value for key, value in kwargs.items() if key != "return_indices"}
        out, positions = self._maximum(
            x, lambda t: pool(t, *rest, **options, return_indices=True), int(pool.__name__[-2])
        )
        returns_both = name.startswith("adaptive") and isinstance(func, BuiltinFunctionType)
        return (out, positions) if returns_both or name.endswith("_indices") or kwargs.get("return_indices") else out

    def _maximum_along(self, x: torch.Tensor, dim: int, keepdim: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """The largest value along one axis, and its position."""
        along = x.movedim(dim, -1).contiguous() if x.ndim else x[None]
        if along is not x:
            self.references[along] = (
                self.references[x].movedim(dim, -1).contiguous() if x.ndim else self.references[x][None]
            )
        with operations.no_interception():
            value, position = self._maximum(along, lambda t: torch.max(t, -1, keepdim=True), 1)
        return (
            (value.movedim(-1, dim), position.movedim(-1, dim))
            if keepdim
            else (value.squeeze(-1), position.squeeze(-1))
        )


def _decomposed(rules: DeepLiftRules) -> dict[str, Callable[..., Any]]:
    """Operations written as simpler ones, to which the rules apply in turn."""

    def top(x: torch.Tensor, dim: Any) -> torch.Tensor:
        """A shift that keeps exponentials in range: the largest value, separately for input and reference."""
        if isinstance(dim, int):
            return rules._maximum_along(x, dim, True)[0]
        with torch.no_grad(), operations.no_interception():
            return (torch.amax(x, dim, keepdim=True) + torch.amax(rules.references[x], dim, keepdim=True)) / 2

    def cast(x: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
        return x if dtype is None else x.to(dtype)  # the interception skips casts that lose precision

    def softmax(x: torch.Tensor, dim: int, dtype: Any = None, **_: Any) -> torch.Tensor:
        x = cast(x, dtype)
        return operations.softmax(x, dim, top(x, dim))

    def log_softmax(x: torch.Tensor, dim: int, dtype: Any = None, **_: Any) -> torch.Tensor:
        x = cast(x, dtype)
        return operations.log_softmax(x, dim, top(x, dim))

    def maximum(x: torch.Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        if isinstance(dim, torch.Tensor):
            return dim + torch.relu(x - dim)
        if dim is None:
            return rules._maximum_along(x.flatten(), 0, False)[0]
        return torch.return_types.max(rules._maximum_along(x, dim, keepdim))

    def minimum(x: torch.Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        if isinstance(dim, torch.Tensor):
            return dim - torch.relu(dim - x)
        if dim is None:
            return -rules._maximum_along((-x).flatten(), 0, False)[0]
        values, positions = rules._maximum_along(-x, dim, keepdim)
        return torch.return_types.min((-values, positions))

    def amax(x: torch.Tensor, dim: Any = (), keepdim: bool = False) -> torch.Tensor:
        axes = tuple(range(x.ndim)) if dim in ((), None) else (dim,) if isinstance(dim, int) else tuple(dim)
        for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
            x = rules._maximum_along(x, axis, keepdim)[0]
        return x

    return {
        **operations.COMMON,
        "softmax": softmax,
        "log_softmax": log_softmax,
        "logsumexp": lambda x, dim, keepdim=False: operations.logsumexp(x, dim, top(x, dim), keepdim),
        "max": maximum,
        "maximum": maximum,
        "fmax": maximum,
        "min": minimum,
        "minimum": minimum,
        "fmin": minimum,
        "amax": amax,
        "amin": lambda x, dim=(), keepdim=False: -amax(-x, dim, keepdim),
    }
