# SPDX-License-Identifier: Apache-2.0
"""Layer-wise relevance propagation as rules for operations.

What is passed down is g = R / a, relevance over activation: sums of branches, reshapes, copies and reused modules then
need no rule, since a's derivative rules are theirs. Weighted sums share relevance by the rules of ``sharing``. Any
other rule is a *carrier* c(a), homogeneous of degree one, whose derivative takes the place of the operation's:
R = a · ∂c/∂a · g adds up to c · g. What is not handed down (biases, stabilisers, constants) is relevance absorbed, and
is counted row by row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from assay.basics.errors import CapabilityError
from assay.model.model import Returned
from assay.model.rules import steps
from assay.model.rules.interception import Args, Interception, Kwargs, mapped, tensors
from assay.model.rules.sharing import FIRST, SHARES, Rule
from assay.model.rules.vocabulary import JOINS, KINKED, POOLS, SILENT, SMOOTH, STRUCTURE, SUMS, WEIGHTED
from assay.model.rules.weighted import Weighted, weighted

HOMOGENEOUS = frozenset({"relu", "leaky_relu", "prelu", "rrelu", "abs", "absolute"})
"""Activations whose derivative is f(x)/x already."""

PLAIN = STRUCTURE | SUMS | POOLS | HOMOGENEOUS | {"amax", "amin", "max", "min"}
ACTIVATIONS = (KINKED | SMOOTH | {"pow", "square", "sqrt", "sin", "expm1", "log1p"}) - HOMOGENEOUS
NORMALISERS = frozenset({"rsqrt", "reciprocal", "std", "var", "linalg_vector_norm", "norm"})
PRODUCTS = (WEIGHTED | {"mul", "multiply"}) - {"addmm"}
FUSED = frozenset({"addmm", "baddbmm", "addmv"})
QUOTIENTS = frozenset({"div", "divide", "true_divide"})
CHOICES = frozenset({"maximum", "minimum", "fmax", "fmin"})
SUMMED = frozenset({"add", "sub", "subtract", "rsub"})
PADS = frozenset({"pad", "constant_pad_nd"})
STACKED = frozenset({"cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack"})
APART = frozenset(
    {
        "layer_norm", "native_layer_norm", "rms_norm", "group_norm", "instance_norm", "scaled_dot_product_attention",
        "multi_head_attention_forward", "addcmul", "addcdiv", "lerp", "glu", *FUSED,
    }
)  # fmt: skip
"""Operations taken apart into those with rules."""

RULES = (
    ACTIVATIONS | HOMOGENEOUS | NORMALISERS | PRODUCTS | QUOTIENTS | CHOICES | APART | POOLS | {"softmax", "batch_norm"}
)


@dataclass(frozen=True)
class Composite:
    """Which rule for which weighted sum: convolutions, dense sums, and the first sum the input meets."""

    dense: Rule = field(default_factory=Rule)
    convolution: Rule = field(default_factory=Rule)
    first: Rule | None = None
    softmax: str = "taylor"


class Relevance:
    """The table of relevance propagation for one pass over ``rows`` rows."""

    folded = False  # batch norms are merged here, wherever a rule needs it

    def __init__(self, who: str, composite: Composite, rows: int) -> None:
        self.who = who
        self.composite = composite
        self.rows = rows
        self.absorbed = torch.zeros(rows, dtype=torch.float64)
        self.mixed = False
        self.first = False
        self.provenance: Any = WeakTensorKeyDictionary()
        self.units: Any = WeakTensorKeyDictionary()
        self.held: dict[int, list[Held]] = {}
        self.mode = Interception(self)

    def begin(self, x: torch.Tensor, start: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """x = x · u: the derivative by u, at 1, is the relevance x · g."""
        unit = torch.ones_like(x).requires_grad_(True)
        moved = x * unit
        self.units[moved] = unit
        return unit, moved

    def end(self, values: torch.Tensor, total: torch.Tensor) -> Returned | None:
        """Relevance, and what was absorbed; ``None`` if what was absorbed cannot be told apart by row."""
        if self.composite.first is not None and not self.first:
            raise CapabilityError(
                f"{self.who}: the rule for the first layer ({self.composite.first.kind}) found no weighted sum that "
                f"reads the net's own input. Use a composite without one."
            )
        total = total.detach()
        shared = values.detach().double().reshape(self.rows, -1)
        left = (total.double() - shared.sum(1) - self.absorbed).abs()
        scale = total.double().abs() + shared.abs().sum(1) + self.absorbed.abs()
        if self.mixed or (self.rows > 1 and bool((left > 1e-3 * scale).any())):
            return None
        return Returned(values.detach(), self.absorbed)

    def follows(self, tensor: Any) -> bool:
        """Whether the tensor depends on the input."""
        return isinstance(tensor, torch.Tensor) and tensor.requires_grad

    def account(self, leak: torch.Tensor) -> None:
        """Count relevance that stays here, by row: the row is the first axis (others may be folded in), or the second.

        A net that holds rows otherwise is noticed afterwards, when rows do not add up but their sum does.
        """
        if len(leak) != self.rows and leak.ndim > 1 and leak.shape[1] == self.rows:
            leak = leak.transpose(0, 1)
        if len(leak) == self.rows:
            self.absorbed += leak.sum(tuple(range(1, leak.ndim)), dtype=torch.float64) if leak.ndim > 1 else leak
        elif len(leak) % self.rows:
            self.mixed = True
        else:
            self.absorbed += leak.reshape(self.rows, -1).sum(1, dtype=torch.float64)

    def spread(self, g: torch.Tensor, z: torch.Tensor, handed: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Count what a weighted sum kept: g · z less the products handed down."""
        for sign, (one, other) in ((1, (g, z)), *((-1, pair) for pair in handed)):
            if len(one) == self.rows:
                self.absorbed += sign * _by_row(one, other)
            else:
                self.account(sign * one * other)

    def step(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, written: bool) -> Any:
        """One operation."""
        if name in SILENT:
            return func(*args, **kwargs)
        steps.refuse_chance(self.who, name, args, kwargs)
        if written:
            self._keep(args[0])
        if name in PLAIN and not (name == "max" and len(args) > 1 and isinstance(args[1], torch.Tensor)):
            return self._plain(name, func, args, kwargs)
        if name == "setitem":
            return self._set(func, args)
        if not written:
            return self._ruled(name, func, args, kwargs)
        new = self._ruled(
            name, steps.out_of_place(name), (args[0].clone(), *args[1:]), steps.without(kwargs, "inplace")
        )
        args[0].copy_(new)
        return args[0]

    def _keep(self, x: torch.Tensor) -> None:
        """Copy, before it is written over, what a weighted sum still needs on its way back."""
        for held in self.held.pop(x.untyped_storage().data_ptr(), ()):
            held.a = held.a.clone()

    def _plain(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        """An operation whose own derivative is its rule; what is known of the net's own input moves along."""
        out = func(*args, **kwargs)
        if (
            name in STRUCTURE
            and args
            and isinstance(out, torch.Tensor)
            and (unit := self.units.get(args[0])) is not None
        ):
            self.units[out] = func(unit, *args[1:], **kwargs)
        return out

    def _ruled(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        following = [place for place, tensor in enumerate(tensors((args, kwargs))) if self.follows(tensor)]
        if name in JOINS:
            return self._join(name, func, args, kwargs)
        if name == "batch_norm":
            return self._batch_norm(*args, **kwargs)
        if name == "softmax":
            return self._softmax(func, args, kwargs)
        scaled = name in ("mul", "multiply") or (name in QUOTIENTS and following == [0])
        if scaled and len(following) == 1:
            return func(*args, **kwargs)
        if name in PRODUCTS | FUSED and (found := weighted(name, func, args, kwargs, self.follows)) is not None:
            return self._weighted(found)
        if name in PRODUCTS and len(following) == 2:
            return self._product(func, args, kwargs)
        if name in QUOTIENTS:
            return func(args[0], args[1].detach(), **kwargs)
        if name in NORMALISERS:
            with torch.no_grad():
                return func(*args, **kwargs)
        if name in CHOICES | {"max"} and len(following) == 2:
            return func(*args, **kwargs)
        if name in ACTIVATIONS | CHOICES and len(following) == 1:
            return self._activation(func, args, kwargs)
        if name in APART:
            with self.mode:
                return steps.COMMON[name](*args, **kwargs)
        out = func(*args, **kwargs)
        if not any(tensor.is_floating_point() for tensor in tensors(out)):
            return out
        raise steps.no_rule(self.who, name, RULES, "Ask for target='logit', or use deep_lift or integrated_gradients.")

    def _join(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        """A sum or a selection: shares fall out of the derivative, constants absorb theirs."""
        out = func(*args, **kwargs)
        numbers = name in SUMMED and any(isinstance(one, float | int) for one in args)
        if name in SUMMED | STACKED and not numbers and all(map(self.follows, tensors(args))):
            return out  # nothing else is in it
        if name in PADS:
            self._pad(func, args, kwargs, out)
        bare = mapped((tuple(args), dict(kwargs)), lambda t: torch.zeros_like(t) if self.follows(t) else t)
        with torch.no_grad():
            constant = func(*bare[0], **bare[1])
        if bool((constant != 0).any()):
            self._absorbing(out, constant)
        return out

    def _pad(self, func: Callable[..., Any], args: Args, kwargs: Kwargs, out: torch.Tensor) -> None:
        """The net's own input with a border of zeros is still that; what the border gets is absorbed."""
        unit = self.units.get(args[0])
        if unit is None:
            return
        border = func(torch.ones_like(unit).detach(), *args[1:], **kwargs) == 0
        padded = func(unit, *args[1:], **kwargs)
        steps.on_way_back(padded, lambda g: self.account(g * border))
        self.units[out] = padded

    def _absorbing(self, out: torch.Tensor, constant: torch.Tensor) -> None:
        """Count what flows into the constant part of a tensor."""
        steps.on_way_back(out, lambda g: self.account(torch.where(g == 0, 0, g * constant)))

    def _set(self, func: Callable[..., Any], args: Args) -> None:
        """x[place] = y, in place."""
        x, place, y = args
        with torch.no_grad():
            constant = torch.zeros_like(x) if self.follows(x) else x.detach().clone()
            func(constant, place, 0.0 if self.follows(y) else y)
        func(x, place, y)
        self._absorbing(x, constant)

    def _activation(self, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> torch.Tensor:
        """f(x) = x · f(x)/x: relevance passes whole; where x is 0 what f(0) brings is absorbed."""
        x = next(tensor for tensor in tensors((args, kwargs)) if self.follows(tensor))
        with torch.no_grad():
            value = func(*args, **kwargs)
            slope = (value / x).nan_to_num_(0.0, 0.0, 0.0)
            given, options = mapped((tuple(args), dict(kwargs)), lambda t: t.new_zeros(1) if t is x else t)
            lifted = bool((func(*given, **options) != 0).any())  # f(0) ≠ 0
        out = steps.sloped(x, value, slope)
        if lifted:
            self._absorbing(out, torch.where(slope == 0, value, 0))
        return out

    def _product(self, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> torch.Tensor:
        """Two factors share relevance equally."""

        def holding(which: int) -> Any:
            place = count()
            return mapped(tuple(args), lambda t: t.detach() if self.follows(t) and next(place) == which else t)

        half: torch.Tensor = (func(*holding(0), **kwargs) + func(*holding(1), **kwargs)) / 2
        return half

    def _softmax(self, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> torch.Tensor:
        """Its linear part at the point, J x; the rest is absorbed. Or a constant, which takes no relevance."""
        with torch.no_grad():
            value: torch.Tensor = func(*args, **kwargs)
        if self.composite.softmax == "constant":
            return value
        x = args[0]
        dim = kwargs.get("dim", args[1] if len(args) > 1 else -1)
        shown = torch.where(value == 0, 0, x)  # masked scores are −∞
        carrier = value * (shown - (value * shown).sum(dim, keepdim=True))
        out = steps.straight(carrier, value)
        self._absorbing(out, (value - carrier).detach())
        return out

    def _batch_norm(
        self, x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float, *_: Any
    ) -> torch.Tensor:
        """Merged into the weighted sum before it, if there is one; else scale and shift."""
        scale = torch.rsqrt(var + eps) * (1 if weight is None else weight)
        shift = (0 if bias is None else bias) - mean * scale
        wide = (-1, *(1,) * (x.ndim - 2))
        if x in self.provenance and self.provenance[x].axis is not None:
            with torch.no_grad():
                value = torch.addcmul(shift.reshape(wide), x, scale.reshape(wide))
            return self._weighted(self.provenance[x].scaled(scale, shift), value)
        return self._join("add", torch.add, (x * scale.reshape(wide), shift.reshape(wide)), {})

    def _weighted(self, found: Weighted, value: torch.Tensor | None = None) -> torch.Tensor:
        """A weighted sum; its rule runs on the way back."""
        unit = self.units.get(found.a) if self.composite.first is not None else None
        if unit is not None:
            rule = self.composite.first
            self.first = True
        else:
            rule = self.composite.convolution if found.convolution else self.composite.dense
        assert rule is not None
        if value is None:
            with torch.no_grad():
                value = found.apply(found.a, found.weight)
                value = value if found.bias is None else value + found.bias
        sums = (Held(found.a.detach()), Held(value))
        out: torch.Tensor = Spread.apply(  # type: ignore[no-untyped-call]  # torch gives it no types
            found.a, unit if rule.kind in FIRST else None, value, sums, replace(found, a=value), rule, self.spread
        )
        for held in sums:
            self.held.setdefault(held.a.untyped_storage().data_ptr(), []).append(held)
        self.provenance[out] = found
        return out


def _by_row(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Σ one · other (row,), without writing the products down."""
    if one.ndim == 4 and all(t.is_contiguous(memory_format=torch.channels_last) for t in (one, other)):
        one, other = (t.permute(0, 2, 3, 1) for t in (one, other))
    flat = [t.reshape(len(t), 1, -1) for t in (one, other.expand_as(one))]
    return torch.bmm(flat[0], flat[1].transpose(1, 2)).double().flatten()


@dataclass
class Held:
    """The input, or the value, of a weighted sum until its way back."""

    a: torch.Tensor


class Spread(torch.autograd.Function):
    """A weighted sum whose way back is a rule."""

    @staticmethod
    def forward(
        ctx: Any, a: torch.Tensor, unit: Any, value: torch.Tensor, sums: Any, found: Weighted, rule: Rule, spread: Any
    ) -> torch.Tensor:
        """The sum."""
        ctx.first, ctx.sums, ctx.found, ctx.rule, ctx.spread = unit is not None, sums, found, rule, spread
        return value.detach()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[Any, ...]:
        """By the rule."""
        (g,), (a, z) = grads, (held.a for held in ctx.sums)
        down, handed = SHARES[ctx.rule.kind](replace(ctx.found, a=a), ctx.rule, z, g)
        ctx.spread(g, z, handed)
        rest = (None,) * 5
        return (None, down, *rest) if ctx.first else (down, None, *rest)
