# SPDX-License-Identifier: Apache-2.0
"""DeepLIFT's Rescale rule: every operation runs on input and reference, and its derivative is the slope between."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from types import BuiltinFunctionType
from typing import Any

import torch
from torch._ops import OpOverload
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from assay.basics.errors import CapabilityError
from assay.model.model import BackwardResult
from assay.model.rules import operations
from assay.model.rules.interception import Args, Interception, Kwargs, map_tensors, tensors
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
from assay.model.rules.secants import plain_name, secant

PLAIN = STRUCTURE | SUMS | JOINS
UNARY = PIECEWISE_LINEAR | SMOOTH | CURVES
FUSED = frozenset(operations.FUSED)
PRODUCTS = (WEIGHTED | {"mul", "multiply"}) - FUSED
QUOTIENTS = frozenset({"div", "divide", "true_divide"})


CHOICES = frozenset({"as_bool", "as_index", "as_int", "item", "tolist", "numpy"})
"""Queries whose answer a net may branch on."""


def _is_number(tensor: torch.Tensor) -> bool:
    """Whether the values are real or complex numbers, not truth values or positions."""
    return tensor.is_floating_point() or tensor.is_complex()


class DeepLiftRules:
    """DeepLIFT's rules of operations, with the reference of every tensor that depends on the input.

    The derivative of an elementwise function is its secant slope (f(x) − f(s)) / (x − s); that of a product the
    midpoint of the other factor; that of a quotient q = a / b, also written as a · (1 / b), the derivative with q and b
    at their midpoints; that of a maximum the slope between the positions of the two maxima. Softmax, norms and
    attention are decomposed into those. So Σ (x − s) · slope = f(x) − f(s) for every net. ``divisors`` are the tensors
    b of the tensors 1 / b: the midpoint of 1 / b would be that of the smaller b alone.
    """

    allows_folding = False

    def __init__(self, method: str) -> None:
        self.method = method
        self.references: Any = WeakTensorKeyDictionary()
        self.divisors: Any = WeakTensorKeyDictionary()
        self.mode = Interception(self, method)
        self.decomposed = _decomposed(self)

    def begin(self, x: torch.Tensor, start: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """x = s + (x − s) · u: the derivative by u, at 1, is the contribution (x − s) · slope."""
        assert start is not None
        unit = torch.ones_like(x).requires_grad_(True)
        moved = start + (x - start) * unit
        self.references[moved] = torch.empty_like(moved).copy_(start).detach()  # with the strides of the input
        return unit, moved

    def end(self, values: torch.Tensor, total: torch.Tensor) -> BackwardResult:
        """The contributions, and the target at the reference; ``CapabilityError`` where they do not add up."""
        start = self.references[total].detach()
        found, rise = values.detach().double().reshape(len(total), -1), (total.detach() - start).double()
        size = rise.abs() + start.double().abs() + found.abs().sum(1)
        missed = (rise - found.sum(1)).abs()
        if bool((missed > torch.finfo(values.dtype).eps ** 0.25 * size).any()):
            raise CapabilityError(
                f"{self.method}: values miss f(x) − f(start) by up to {float(missed.max()):.3g}. The net detaches a "
                f"part that depends on its input, or {values.dtype} is not precise enough (net.double() is). Use "
                f"integrated_gradients."
            )
        return BackwardResult(values.detach(), start=start)

    def is_tracked(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor depends on the input, and so has a reference."""
        return tensor in self.references

    def run_operation(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, in_place: bool) -> Any:
        """Run one operation on the input's tensors and on their references."""
        if name in QUERIES - CHOICES:
            return func(*args, **kwargs)
        choice = next((one for one in tensors((args, kwargs)) if self.is_tracked(one) and not _is_number(one)), None)
        if choice is not None:
            return self._choose(name, func, args, kwargs, in_place)
        if name in QUERIES:
            return func(*args, **kwargs)
        if in_place and not self.is_tracked(args[0]):
            self._begin_reference(args[0])
        operations.refuse_randomness(self.method, name, args, kwargs)
        if name in PLAIN or name == "batch_norm" or not torch.is_grad_enabled():
            out = self._run_both(func, args, kwargs, in_place)
            divisor = self.divisors.get(args[0]) if name in STRUCTURE and isinstance(out, torch.Tensor) else None
            if divisor is not None:
                self.divisors[out] = self._run_both(func, (divisor, *args[1:]), kwargs, False)
            return out
        if not in_place:
            return self._apply_rule(name, func, args, kwargs)
        first = args[0].clone()
        self.references[first] = self.references[args[0]].clone()
        func, kwargs = operations.out_of_place(name), operations.without(kwargs, "inplace")
        new = self._apply_rule(name, func, (first, *args[1:]), kwargs)
        args[0].copy_(new)
        self.references[args[0]].copy_(self.references[new])
        return args[0]

    def _begin_reference(self, constant: torch.Tensor) -> None:
        """A reference for a constant that is about to be written: a view of the reference where it is itself a view."""
        base = constant._base
        if base is None:
            self.references[constant] = constant.detach().clone()
            return
        if base not in self.references:
            self.references[base] = base.detach().clone()
        place = constant.storage_offset() - base.storage_offset()
        self.references[constant] = self.references[base].as_strided(constant.shape, constant.stride(), place)

    def _run_both(self, func: Callable[..., Any], args: Args, kwargs: Kwargs, in_place: bool) -> Any:
        """Run an operation that needs no rule, on tensors and references."""
        out = func(*args, **kwargs)
        with torch.no_grad():
            reference = func(*self._reference(args), **self._reference(kwargs))
        if not in_place and out is not None:
            for one, other in zip(tensors(out), tensors(reference)):
                if _is_number(one) or not torch.equal(one, other):  # equal choices are constants
                    self.references[one] = other
        return out

    def _choose(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, in_place: bool) -> Any:
        """Run an operation on comparisons or positions that differ at the reference; no number may follow."""
        out = None if name in CHOICES else func(*args, **kwargs)
        numbers = [one for one in tensors((out, args[:1] if in_place else ())) if _is_number(one)]
        if name in CHOICES or numbers:
            raise CapabilityError(
                f"{self.method}: {name!r} chooses by a comparison, or a position, that differs between the input and "
                f"the start, so no slope connects their outputs. Use torch's own function for it (relu, clamp, max), "
                f"another start, or integrated_gradients."
            )
        with torch.no_grad():
            reference = func(*self._reference(args), **self._reference(kwargs))
        for one, other in zip(tensors(out), tensors(reference)):
            if not torch.equal(one, other):
                self.references[one] = other
        return out

    def _reference(self, tree: Any) -> Any:
        return map_tensors(tree, lambda tensor: self.references.get(tensor, tensor))

    def _apply_rule(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        """Run an operation with a rule, out of place."""
        tracked = [position for position, tensor in enumerate(tensors((args, kwargs))) if self.is_tracked(tensor)]
        is_complex = any(tensor.is_complex() for tensor in tensors((args, kwargs)) if self.is_tracked(tensor))
        if name in UNARY and len(tracked) == 1 and not is_complex:
            return self._unary(name, func, args, kwargs)
        if name in ("mul", "multiply"):
            return self._multiply(func, args, kwargs)
        if (name in PRODUCTS or name in FUSED) and len(tracked) == 1:
            return self._run_both(func, args, kwargs, False)
        if name in PRODUCTS and len(tracked) == 2:
            return self._product(func, args, kwargs)
        if name in QUOTIENTS and not kwargs.get("rounding_mode") and not (is_complex and 1 in tracked):
            return self._run_both(func, args, kwargs, False) if tracked == [0] else self._quotient(*args[:2])
        if name in POOLS:
            return self._pool(name, func, args, kwargs)
        rule = operations.COMPLEX.get(name) if is_complex else self.decomposed.get(name)
        if rule is not None:
            with self.mode:
                return rule(*args, **kwargs)
        out = self._run_both(func, args, kwargs, False)
        if not any(_is_number(tensor) for tensor in tensors(out)):
            return out
        rules = PRODUCTS | set(operations.COMPLEX) if is_complex else UNARY | PRODUCTS | POOLS | set(self.decomposed)
        raise operations.missing_rule_error(
            self.method,
            f"{name} of complex numbers" if is_complex else name,
            rules,
            "Use integrated_gradients or shapley.",
        )

    def _unary(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> torch.Tensor:
        """(f(x) − f(s)) / (x − s); where x and s are (nearly) equal, the derivative at their midpoint."""
        x = next(tensor for tensor in tensors((args, kwargs)) if self.is_tracked(tensor))
        s = self.references[x]
        plain = plain_name(name, args)
        divisor = (
            x if plain == "reciprocal" else self._unary("sqrt", torch.sqrt, (x,), {}) if plain == "rsqrt" else None
        )
        with torch.no_grad():
            value = func(*args, **kwargs)
            reference = func(*self._reference(tuple(args)), **self._reference(dict(kwargs)))
        out = operations.with_derivative(x, value, secant(name, func, args, kwargs, x, s))
        self.references[out] = reference
        if divisor is not None and args[0] is x:
            self.divisors[out] = divisor
        return out

    def _multiply(self, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> torch.Tensor:
        """A product of numbers; a quotient where a factor that depends on the input is one over another tensor."""
        factors = tuple(args[:2])
        tracked = [factor for factor in factors if isinstance(factor, torch.Tensor) and self.is_tracked(factor)]
        which = next((place for place in (1, 0) if factors[place] in self.divisors), None)
        if len(tracked) == 2 and which is not None:
            return self._quotient(factors[1 - which], self.divisors[factors[which]])
        if len(tracked) == 2:
            return self._product(func, args, kwargs)
        out: torch.Tensor = self._run_both(func, args, kwargs, False)
        number = None if which is None else factors[1 - which]
        if which is not None and isinstance(number, int | float) and number != 0:
            self.divisors[out] = self._run_both(torch.div, (self.divisors[factors[which]], number), {}, False)
        return out

    def _quotient(self, a: Any, b: torch.Tensor) -> torch.Tensor:
        """Δ(a/b) = (Δa − (q + q′)/2 · Δb) / ((b + b′)/2), q = a/b; as a product with 1/b where b changes its sign."""
        with torch.no_grad():
            a_start, b_start = (
                self.references.get(one, one) if isinstance(one, torch.Tensor) else one for one in (a, b)
            )
            value, reference, mean = a / b, a_start / b_start, (b + b_start) / 2
            same_sign = (b > 0) == (b_start > 0)
            by_a = torch.where(same_sign, mean.reciprocal(), (b.reciprocal() + b_start.reciprocal()) / 2)
            by_b = torch.where(same_sign, -(value + reference) / (2 * mean), -(a + a_start) / (2 * b * b_start))
        out = operations.with_gradient_of(a * by_a + b * by_b, value)
        self.references[out] = reference
        if isinstance(a, int | float) and a != 0:
            self.divisors[out] = self._run_both(torch.div, (b, a), {}, False)
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
        if not torch.equal(i, j):
            self.references[i] = j
        self.mode.record_seen(out)
        return out, i

    def _pool(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        """Max pooling; torch's operation returns positions only on request."""
        pool = getattr(functional, name.removesuffix("_with_indices"))
        x, *rest = args
        options = {key: value for key, value in kwargs.items() if key != "return_indices"}
        out, positions = self._maximum(
            x, lambda t: pool(t, *rest, **options, return_indices=True), int(pool.__name__[-2])
        )
        returns_both = name.startswith("adaptive") and isinstance(func, BuiltinFunctionType | OpOverload)
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
