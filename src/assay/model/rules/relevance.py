# SPDX-License-Identifier: Apache-2.0
"""Layer-wise relevance propagation (LRP) as rules of operations.

The propagated quantity is g = R / a, relevance over activation: sums of branches, reshapes, copies and reused modules
then need no rule, since their own derivatives propagate it. Weighted sums use the rules of ``propagation_rules``. Any
other rule is a *carrier* c(a), homogeneous of degree one, whose derivative replaces the operation's:
R = a · ∂c/∂a · g adds up to c · g. Relevance that is not propagated (biases, stabilisers, constants) is absorbed, and
is counted by row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from assay.basics.errors import CapabilityError
from assay.model.model import BackwardResult
from assay.model.rules import operations
from assay.model.rules.interception import Args, Interception, Kwargs, map_tensors, tensors
from assay.model.rules.operation_names import JOINS, PIECEWISE_LINEAR, POOLS, QUERIES, SMOOTH, STRUCTURE, SUMS, WEIGHTED
from assay.model.rules.propagation_rules import FIRST_LAYER_RULES, Rule
from assay.model.rules.ruled_sums import RuledSum, SavedTensor, sum_by_row
from assay.model.rules.weighted_sums import WeightedSum, as_weighted_sum

HOMOGENEOUS = frozenset({"relu", "leaky_relu", "prelu", "rrelu", "abs", "absolute"})
"""Activations whose derivative equals f(x)/x."""

PLAIN = STRUCTURE | SUMS | POOLS | HOMOGENEOUS | {"amax", "amin", "max", "min"}
ACTIVATIONS = (PIECEWISE_LINEAR | SMOOTH | {"pow", "square", "sqrt", "sin", "expm1", "log1p"}) - HOMOGENEOUS
NORMALISERS = frozenset({"rsqrt", "reciprocal", "std", "var", "linalg_vector_norm", "norm"})
PRODUCTS = (WEIGHTED | {"mul", "multiply"}) - frozenset(operations.FUSED)
FUSED = frozenset(operations.FUSED)
QUOTIENTS = frozenset({"div", "divide", "true_divide"})
CHOICES = frozenset({"maximum", "minimum", "fmax", "fmin"})
SUMMED = frozenset({"add", "sub", "subtract", "rsub"})
PADS = frozenset({"pad", "constant_pad_nd"})
STACKED = frozenset({"cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack"})
DECOMPOSED = frozenset(
    {
        "layer_norm", "native_layer_norm", "rms_norm", "group_norm", "instance_norm", "scaled_dot_product_attention",
        "multi_head_attention_forward", "addcmul", "addcdiv", "lerp", "glu", *FUSED,
    }
)  # fmt: skip
"""Operations that are decomposed into operations with rules."""

RULES = ACTIVATIONS | HOMOGENEOUS | NORMALISERS | PRODUCTS | QUOTIENTS | CHOICES | DECOMPOSED | POOLS
RULES |= {"softmax", "log_softmax", "batch_norm"}


Pairs = list[tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class Composite:
    """The rules of weighted sums: for dense layers, for convolutions, and for the first layer (``None``: the same)."""

    dense: Rule = field(default_factory=Rule)
    convolution: Rule = field(default_factory=Rule)
    first: Rule | None = None
    softmax: str = "taylor"


class RelevanceRules:
    """LRP's rules of operations for one pass over ``rows`` rows."""

    allows_folding = False  # batch norms are merged here, where a rule needs it

    def __init__(self, method: str, composite: Composite, rows: int) -> None:
        self.method = method
        self.composite = composite
        self.rows = rows
        self.absorbed = torch.zeros(rows, dtype=torch.float64)
        self.has_mixed_rows = False
        self.used_first_rule = False
        self.weighted_sums: Any = WeakTensorKeyDictionary()
        self.units: Any = WeakTensorKeyDictionary()
        self.saved: dict[int, list[SavedTensor]] = {}
        self.anchor = torch.zeros(())
        self.mode = Interception(self, method)

    def begin(self, x: torch.Tensor, start: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """x = x · u: the derivative by u, at 1, is the relevance x · g."""
        self.absorbed = self.absorbed.to(x.device)
        unit = torch.ones_like(x).requires_grad_(True)
        moved = x * unit
        self.units[moved] = unit
        self.anchor = unit.reshape(-1)[:0].sum()
        self.absorbed = self.absorbed.to(x.device)
        return unit, moved

    def end(self, values: torch.Tensor, total: torch.Tensor) -> BackwardResult | None:
        """The relevance, and the absorbed relevance; ``None`` if the latter cannot be assigned to rows."""
        if self.composite.first is not None and not self.used_first_rule:
            raise CapabilityError(
                f"{self.method}: the rule for the first layer ({self.composite.first.kind}) found no weighted sum that "
                f"reads the net's own input. Use a composite without such a rule."
            )
        total = total.detach()
        relevance = values.detach().double().reshape(self.rows, -1)
        residual = (total.double() - relevance.sum(1) - self.absorbed).abs()
        scale = total.double().abs() + relevance.abs().sum(1) + self.absorbed.abs()
        tolerance = max(1e-3, 8 * torch.finfo(values.dtype).eps)
        if self.has_mixed_rows or (self.rows > 1 and bool((residual > tolerance * scale).any())):
            return None
        return BackwardResult(values.detach(), self.absorbed)

    def is_tracked(self, tensor: Any) -> bool:
        """Whether the tensor depends on the input."""
        return isinstance(tensor, torch.Tensor) and tensor.requires_grad

    def absorb(self, leak: torch.Tensor) -> None:
        """Count absorbed relevance by row: the row is the first axis (possibly merged with others), or the second.

        For a net with another order of axes, ``end`` finds that relevance is not conserved by row.
        """
        if len(leak) != self.rows and leak.ndim > 1 and leak.shape[1] == self.rows:
            leak = leak.transpose(0, 1)
        if len(leak) == self.rows:
            self.absorbed += leak.sum(tuple(range(1, leak.ndim)), dtype=torch.float64) if leak.ndim > 1 else leak
        elif len(leak) % self.rows:
            self.has_mixed_rows = True
        else:
            self.absorbed += leak.reshape(self.rows, -1).sum(1, dtype=torch.float64)

    def count_absorbed(
        self, g: torch.Tensor, z: torch.Tensor, propagated: list[tuple[torch.Tensor, torch.Tensor]]
    ) -> None:
        """Count the relevance that a weighted sum absorbs: g · z less the propagated products."""
        for sign, (one, other) in ((1, (g, z)), *((-1, pair) for pair in propagated)):
            if len(one) == self.rows:
                self.absorbed += sign * sum_by_row(one, other)
            else:
                self.absorb(sign * one * other)

    def run_operation(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, in_place: bool) -> Any:
        """Run one operation."""
        if name in QUERIES or not torch.is_grad_enabled():
            return func(*args, **kwargs)
        operations.refuse_randomness(self.method, name, args, kwargs)
        if in_place:
            self._copy_saved(args[0])
        if name == "setitem" or (name == "copy" and in_place):
            return self._set(args[0], *(args[1:] if name == "setitem" else (..., args[1])))
        if name in PLAIN and not (name == "max" and len(args) > 1 and isinstance(args[1], torch.Tensor)):
            return self._plain(name, func, args, kwargs)
        if not in_place:
            return self._apply_rule(name, func, args, kwargs)
        func, kwargs = operations.out_of_place(name), operations.without(kwargs, "inplace")
        new = self._apply_rule(name, func, (args[0].clone(), *args[1:]), kwargs)
        if self.is_tracked(new):
            self._count_rest(args[0], ...)
        args[0].copy_(new)
        return args[0]

    def _copy_saved(self, x: torch.Tensor) -> None:
        """Copy a tensor that a weighted sum needs in its backward pass, before it is overwritten."""
        for saved in self.saved.pop(x.untyped_storage().data_ptr(), ()):
            saved.tensor = saved.tensor.clone()

    def _plain(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        """Run an operation whose own derivative is its rule; the unit factors of the net's input follow structure."""
        out = func(*args, **kwargs)
        unit = self.units.get(args[0]) if name in STRUCTURE and args and isinstance(out, torch.Tensor) else None
        if unit is not None:
            self.units[out] = func(unit, *args[1:], **kwargs)
        return out

    def _apply_rule(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        tracked = [place for place, tensor in enumerate(tensors((args, kwargs))) if self.is_tracked(tensor)]
        if name in JOINS:
            return self._join(name, func, args, kwargs)
        if any(tensor.is_complex() for tensor in tensors((args, kwargs)) if self.is_tracked(tensor)):
            return self._complex(name, func, args, kwargs, len(tracked))
        if name == "batch_norm":
            return self._batch_norm(*args, **kwargs)
        if name in ("softmax", "log_softmax"):
            return self._softmax(name, func, args, kwargs)
        if name == "bilinear" and any(one is not None for one in (*args[3:], kwargs.get("bias"))):
            with self.mode:
                return operations.bilinear(*args, **kwargs)
        scaled = name in ("mul", "multiply") or (name in QUOTIENTS and tracked == [0])
        if scaled and len(tracked) == 1:
            return func(*args, **kwargs)
        if name in PRODUCTS | FUSED:
            found = as_weighted_sum(name, func, args, kwargs, self.is_tracked)
            if found is not None:
                return self._weighted(found)
        if name in PRODUCTS and len(tracked) == 2:
            return self._product(func, args, kwargs)
        if name in QUOTIENTS:
            return func(args[0], args[1].detach(), **kwargs)
        if name in NORMALISERS:
            with torch.no_grad():
                return func(*args, **kwargs)
        if name in CHOICES | {"max"} and len(tracked) == 2:
            return func(*args, **kwargs)
        if name in ACTIVATIONS | CHOICES and len(tracked) == 1:
            return self._activation(func, args, kwargs)
        if name in DECOMPOSED:
            with self.mode:
                return operations.COMMON[name](*args, **kwargs)
        out = func(*args, **kwargs)
        if not any(tensor.is_floating_point() or tensor.is_complex() for tensor in tensors(out)):
            return out
        advice = "Use target='logit', or deep_lift or integrated_gradients."
        raise operations.missing_rule_error(self.method, name, RULES, advice)

    def _complex(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, tracked: int) -> Any:
        """Run an operation of complex numbers: products by single numbers only."""
        if name in ("mul", "multiply") and tracked == 2:
            return self._product(func, args, kwargs)
        if name in ("mul", "multiply") or (name in QUOTIENTS and self.is_tracked(args[0]) and tracked == 1):
            return func(*args, **kwargs)
        advice = "Use deep_lift or integrated_gradients."
        raise operations.missing_rule_error(
            self.method, f"{name} of complex numbers", {"mul", "div by constants"}, advice
        )

    def _join(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        """Run a sum or a selection: its derivative propagates relevance, constants absorb their part."""
        out = func(*args, **kwargs)
        numbers = name in SUMMED and any(isinstance(one, float | int) for one in args)
        if name in SUMMED | STACKED and not numbers and all(map(self.is_tracked, tensors(args))):
            return out  # no constant is part of it
        if name in PADS:
            self._pad(func, args, kwargs, out)
        bare = map_tensors((tuple(args), dict(kwargs)), lambda t: torch.zeros_like(t) if self.is_tracked(t) else t)
        with torch.no_grad():
            constant = func(*bare[0], **bare[1])
        if bool((constant != 0).any()):
            self._absorb_constant(out, constant)
        return out

    def _pad(self, func: Callable[..., Any], args: Args, kwargs: Kwargs, out: torch.Tensor) -> None:
        """Padding of the net's own input counts as its input; the relevance of the border is absorbed."""
        unit = self.units.get(args[0])
        if unit is None:
            return
        border = func(torch.ones_like(unit).detach(), *args[1:], **kwargs) == 0
        padded = func(unit, *args[1:], **kwargs)
        operations.hook_gradient(padded, lambda g: self.absorb(g * border))
        self.units[out] = padded

    def _absorb_constant(self, out: torch.Tensor, constant: torch.Tensor) -> None:
        """Count the relevance of the constant part of a tensor; the tensor has not been written in place."""
        operations.hook_gradient(out, lambda g: self._absorb_product(g, constant))

    def _absorb_product(self, g: torch.Tensor, constant: torch.Tensor) -> None:
        """Count the relevance g · constant, also of complex numbers, and of constants that are infinite."""
        relevance = (g.conj() * constant).real if g.is_complex() else g * constant
        self.absorb(torch.where(g == 0, 0, relevance))

    def _set(self, x: torch.Tensor, place: Any, y: Any) -> torch.Tensor:
        """x[place] = y, in place. Constants get a gradient that is counted, since hooks on x may end the process."""
        if self.is_tracked(y):
            self._count_rest(x, place)
        elif self.is_tracked(x):
            constant = torch.zeros_like(x, requires_grad=False)
            constant[place] = y
            y = self._counted(constant)[place]
        x[place] = y
        return x

    def _count_rest(self, x: torch.Tensor, place: Any) -> None:
        """Count what remains of a constant, or of the constant that it is a view of, when x[place] is written."""
        base = x if x._base is None else x._base
        if self.is_tracked(base):
            return
        constant = base.detach().clone()
        offset = x.storage_offset() - base.storage_offset()
        constant.as_strided(x.shape, x.stride(), offset)[place] = 0
        if bool((constant != 0).any()):
            base.copy_(self._counted(constant))
            assert x.grad_fn is not None  # of a view, torch finds it only when it is read

    def _counted(self, constant: torch.Tensor) -> torch.Tensor:
        """A constant with a gradient, whose relevance is counted as absorbed."""
        return operations.counted_constant(self.anchor, constant, lambda g: self._absorb_product(g, constant))

    def _activation(self, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> torch.Tensor:
        """f(x) = x · f(x)/x: all relevance is propagated; where x is 0, the relevance of f(0) is absorbed."""
        x = next(tensor for tensor in tensors((args, kwargs)) if self.is_tracked(tensor))
        with torch.no_grad():
            value = func(*args, **kwargs)
            slope = (value / x).nan_to_num_(0.0, 0.0, 0.0)
            given, options = map_tensors((tuple(args), dict(kwargs)), lambda t: t.new_zeros(1) if t is x else t)
            nonzero_at_zero = bool((func(*given, **options) != 0).any())
        out = operations.with_derivative(x, value, slope)
        if nonzero_at_zero:
            self._absorb_constant(out, torch.where(slope == 0, value, 0))
        return out

    def _product(self, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> torch.Tensor:
        """Two factors share relevance equally."""

        def holding(which: int) -> Any:
            place = count()
            return map_tensors(tuple(args), lambda t: t.detach() if self.is_tracked(t) and next(place) == which else t)

        half: torch.Tensor = (func(*holding(0), **kwargs) + func(*holding(1), **kwargs)) / 2
        return half

    def _softmax(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> torch.Tensor:
        """Propagate through the linear part J x, and absorb the rest; or treat the (log of the) sum as a constant."""
        with torch.no_grad():
            value: torch.Tensor = func(*args, **kwargs)
        constant, x = self.composite.softmax == "constant", args[0]
        if constant and name == "softmax":
            return value
        dim = kwargs.get("dim", args[1] if len(args) > 1 else -1)
        share = value if name == "softmax" else value.exp()
        finite = torch.where(share == 0, 0, x)  # masked scores are −∞
        mean = (share * finite).sum(dim, keepdim=True)
        carrier = share * (finite - mean) if name == "softmax" else x if constant else x - mean
        out = operations.with_gradient_of(carrier, value)
        self._absorb_constant(out, (value - carrier).detach())
        return out

    def _batch_norm(
        self, x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float, *_: Any
    ) -> torch.Tensor:
        """A batch norm, merged into the weighted sum before it, if there is one; else scale and shift."""
        scale = torch.rsqrt(var + eps) * (1 if weight is None else weight)
        shift = (0 if bias is None else bias) - mean * scale
        wide = (-1, *(1,) * (x.ndim - 2))
        if x in self.weighted_sums and self.weighted_sums[x].axis is not None:
            with torch.no_grad():
                value = torch.addcmul(shift.reshape(wide), x, scale.reshape(wide))
            return self._weighted(self.weighted_sums[x].scaled(scale, shift), value)
        return self._join("add", torch.add, (x * scale.reshape(wide), shift.reshape(wide)), {})

    def _weighted(self, found: WeightedSum, value: torch.Tensor | None = None) -> torch.Tensor:
        """A weighted sum, whose rule runs in the backward pass."""
        unit = self.units.get(found.a) if self.composite.first is not None else None
        if unit is not None:
            rule = self.composite.first
            self.used_first_rule = True
        else:
            rule = self.composite.convolution if found.convolution else self.composite.dense
        assert rule is not None
        if value is None:
            with torch.no_grad():
                value = found.apply(found.a, found.weight)
                value = value if found.bias is None else value + found.bias
        saved = (SavedTensor(found.a.detach()), SavedTensor(value))
        first = unit if rule.kind in FIRST_LAYER_RULES else None
        out: torch.Tensor = RuledSum.apply(  # type: ignore[no-untyped-call]  # torch gives it no types
            found.a, first, value, saved, replace(found, a=value), rule, self.count_absorbed
        )
        for one in saved:
            self.saved.setdefault(one.tensor.untyped_storage().data_ptr(), []).append(one)
        self.weighted_sums[out] = found
        return out
