# SPDX-License-Identifier: Apache-2.0
"""Operations for backward rules: values with other derivatives, and decompositions into simpler operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch.nn import functional

from assay.basics.errors import CapabilityError
from assay.model.attention import scaled_dot_product

no_interception = torch._C.DisableTorchFunction
"""Context in which no operation is intercepted."""


class GradientOfCarrier(torch.autograd.Function):
    """The value of one tensor with the derivatives of another."""

    @staticmethod
    def forward(ctx: Any, carrier: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """The value."""
        return value.detach()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        """The gradient of the carrier."""
        return grads[0], None


class GivenDerivative(torch.autograd.Function):
    """The value of f(x) with the derivative ``slope`` in place of f′(x)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, value: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        """The value."""
        ctx.save_for_backward(slope)
        return value.detach()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """The gradient times the slope."""
        return grads[0] * ctx.saved_tensors[0], None, None


class CountedConstant(torch.autograd.Function):
    """A constant that takes part in the backward pass, so that its gradient can be counted."""

    @staticmethod
    def forward(ctx: Any, anchor: torch.Tensor, constant: torch.Tensor, count: Any) -> torch.Tensor:
        """The constant."""
        ctx.count, ctx.like = count, anchor
        return constant.clone()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Count the gradient; nothing goes to the anchor."""
        ctx.count(grads[0])
        return torch.zeros_like(ctx.like), None, None


def counted_constant(
    anchor: torch.Tensor, constant: torch.Tensor, count: Callable[[torch.Tensor], None]
) -> torch.Tensor:
    """``constant`` as a tensor whose gradient goes to ``count``; the anchor connects it with the input."""
    out: torch.Tensor = CountedConstant.apply(anchor, constant, count)  # type: ignore[no-untyped-call]  # torch gives it no types
    return out


def with_gradient_of(carrier: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """``value`` with the derivatives of ``carrier``."""
    out: torch.Tensor = GradientOfCarrier.apply(carrier, value)  # type: ignore[no-untyped-call]  # torch gives it no types
    return out


def with_derivative(x: torch.Tensor, value: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """``value`` with ``slope`` as its derivative by ``x``, element by element."""
    out: torch.Tensor = GivenDerivative.apply(x, value, slope)  # type: ignore[no-untyped-call]  # torch gives it no types
    return out


def hook_gradient(out: torch.Tensor, hook: Callable[[torch.Tensor], torch.Tensor | None]) -> None:
    """Register a hook that reads, or replaces, the gradient of a tensor.

    Only for tensors that nothing has written into: of a view that was, torch's registration may end the process.
    """
    out.register_hook(hook)  # type: ignore[no-untyped-call]  # torch gives it no types


def missing_rule_error(method: str, name: str, rules: Collection[str], advice: str) -> CapabilityError:
    """The error for an operation without a rule."""
    return CapabilityError(
        f"{method} needs a rule for every non-linear operation of the net; it has none for {name!r}. It has rules for "
        f"{', '.join(sorted(rules))}. {advice}"
    )


def softmax(x: torch.Tensor, dim: int, top: torch.Tensor) -> torch.Tensor:
    """exp(x − top) / Σ exp(x − top)."""
    e = torch.exp(x - top)
    return e / e.sum(dim, keepdim=True)


def log_softmax(x: torch.Tensor, dim: int, top: torch.Tensor) -> torch.Tensor:
    """x − log Σ exp x."""
    return x - logsumexp(x, dim, top, True)


def logsumexp(x: torch.Tensor, dim: Any, top: torch.Tensor, keepdim: bool) -> torch.Tensor:
    """log Σ exp x."""
    total = torch.log(torch.exp(x - top).sum(dim, keepdim=keepdim))
    return total + (top if keepdim else top.reshape(total.shape))


def layer_norm(
    x: torch.Tensor, shape: Any, weight: torch.Tensor | None = None, bias: torch.Tensor | None = None, eps: float = 1e-5
) -> torch.Tensor:
    """(x − mean) / √(variance + ε) · weight + bias over the last axes."""
    axes = tuple(range(-len(tuple(shape)), 0))
    out = standardise(x, axes, eps)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def rms_norm(x: torch.Tensor, shape: Any, weight: torch.Tensor | None = None, eps: float | None = None) -> torch.Tensor:
    """x / √(mean of squares + ε) · weight over the last axes."""
    axes = tuple(range(-len(tuple(shape)), 0))
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    out = x * torch.rsqrt((x * x).mean(axes, keepdim=True) + eps)
    return out if weight is None else out * weight


def group_norm(
    x: torch.Tensor,
    groups: int,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> torch.Tensor:
    """Standardised within groups of channels, then scaled and shifted by channel."""
    out = standardise(x.reshape(len(x), groups, -1), (-1,), eps).reshape(x.shape)
    return per_channel(out, weight, bias)


def instance_norm(
    x: torch.Tensor,
    weight: Any,
    bias: Any,
    mean: Any,
    var: Any,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    *_: Any,
) -> torch.Tensor:
    """Standardised within each channel, then scaled and shifted."""
    if not use_input_stats:
        return functional.batch_norm(x, mean, var, weight, bias, False, momentum, eps)
    return per_channel(standardise(x, tuple(range(2, x.ndim)), eps), weight, bias)


def standardise(x: torch.Tensor, axes: Any, eps: float) -> torch.Tensor:
    """(x − mean) / √(variance + ε)."""
    centred = x - x.mean(axes, keepdim=True)
    return centred * torch.rsqrt((centred * centred).mean(axes, keepdim=True) + eps)


def per_channel(x: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None) -> torch.Tensor:
    """Scale and shift by the second axis."""
    shape = (-1, *(1,) * (x.ndim - 2))
    x = x if weight is None else x * weight.reshape(shape)
    return x if bias is None else x + bias.reshape(shape)


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """softmax(q kᵀ · scale + mask) v."""
    if dropout_p:
        raise CapabilityError("the net applies dropout to attention although it is in evaluation mode.")
    shares, value = scaled_dot_product(query, key, value, attn_mask, 0.0, is_causal, scale, enable_gqa)
    return torch.matmul(shares, value)


def multi_head_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    width: int,
    heads: int,
    in_weight: torch.Tensor | None,
    in_bias: torch.Tensor | None,
    bias_k: torch.Tensor | None,
    bias_v: torch.Tensor | None,
    add_zero: bool,
    dropout: float,
    out_weight: torch.Tensor,
    out_bias: torch.Tensor | None,
    training: bool = False,
    key_padding_mask: torch.Tensor | None = None,
    need_weights: bool = True,
    attn_mask: torch.Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: torch.Tensor | None = None,
    k_proj_weight: torch.Tensor | None = None,
    v_proj_weight: torch.Tensor | None = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[torch.Tensor, None]:
    """F.multi_head_attention_forward of (token, row, unit), computed with the row first; weights are not returned."""
    if bias_k is not None or add_zero or static_k is not None or query.ndim != 3:
        raise CapabilityError("multi-head attention with added keys, or without a row axis, has no rule.")
    if use_separate_proj_weight:
        weights: Any = (q_proj_weight, k_proj_weight, v_proj_weight)
    else:
        assert in_weight is not None
        weights = in_weight.chunk(3)
    biases: Any = (None, None, None) if in_bias is None else in_bias.chunk(3)
    rows = query.shape[1]
    q, k, v = (
        functional.linear(one.transpose(0, 1), weight, bias).reshape(rows, one.shape[0], heads, -1).transpose(1, 2)
        for one, weight, bias in zip((query, key, value), weights, biases)
    )
    mask = combine_masks(attn_mask, key_padding_mask, rows, heads, q.dtype)
    mixed = attention(q, k, v, mask)
    joined = mixed.transpose(1, 2).reshape(rows, query.shape[0], width)
    return functional.linear(joined, out_weight, out_bias).transpose(0, 1), None


def combine_masks(
    mask: torch.Tensor | None, padding: torch.Tensor | None, rows: int, heads: int, dtype: torch.dtype
) -> torch.Tensor | None:
    """Attention and padding masks as one additive mask of the scores (row, head, query, key)."""

    def additive(one: torch.Tensor) -> torch.Tensor:
        return (
            torch.zeros(one.shape, dtype=dtype, device=one.device).masked_fill(one, -math.inf)
            if one.dtype == torch.bool
            else one
        )

    both = None if mask is None else additive(mask)
    if both is not None and both.ndim == 3:
        both = both.reshape(rows, heads, *both.shape[1:])
    if padding is not None:
        padded = additive(padding)[:, None, None, :]
        both = padded if both is None else both + padded
    return both


def variance(
    x: torch.Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> torch.Tensor:
    """Mean of squared deviations, with Bessel's correction by default."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    axes = tuple(range(x.ndim)) if dim is None else dim
    centred = x - x.mean(axes, keepdim=True)
    count = x.numel() // x.mean(axes, keepdim=True).numel()
    correction = float(unbiased) if correction is None else correction
    return (centred * centred).sum(axes, keepdim=keepdim) / (count - correction)


def vector_norm(
    x: torch.Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> torch.Tensor:
    """√Σ x²; other orders than 2 are refused."""
    if ord not in (2, "fro", None):
        raise CapabilityError(f"a norm of order {ord} has no rule; only the Euclidean has.")
    axes = tuple(range(x.ndim)) if dim is None else dim
    return torch.sqrt((x * x).sum(axes, keepdim=keepdim))


def cosine_similarity(a: torch.Tensor, b: torch.Tensor, dim: int = 1, eps: float = 1e-8) -> torch.Tensor:
    """a·b / (|a| |b|), with lengths of at least ε."""
    lengths = [torch.clamp_min(vector_norm(one, dim=dim), eps) for one in (a, b)]
    return (a * b).sum(dim) / (lengths[0] * lengths[1])


def glu(x: torch.Tensor, dim: int = -1) -> torch.Tensor:
    """The first half times the sigmoid of the second."""
    first, second = x.chunk(2, dim)
    return first * torch.sigmoid(second)


def fused(product: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """β · c + α · a b; c is not read where β is 0, since it may hold anything then."""

    def run(c: Any, a: torch.Tensor, b: torch.Tensor, beta: float = 1, alpha: float = 1) -> torch.Tensor:
        out = product(a, b) if alpha == 1 else alpha * product(a, b)
        return out if beta == 0 else c + out if beta == 1 else beta * c + out

    return run


FUSED: dict[str, Callable[..., torch.Tensor]] = {
    "addmm": torch.mm, "addmv": torch.mv, "addr": torch.outer, "baddbmm": torch.bmm,
    "addbmm": lambda a, b: torch.bmm(a, b).sum(0),
}  # fmt: skip
"""The product in each operation that adds a product to a tensor."""


def bilinear(a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Σ a w b + bias."""
    out = functional.bilinear(a, b, weight)
    return out if bias is None else out + bias


COMMON: dict[str, Callable[..., Any]] = {
    "layer_norm": lambda x, shape, weight=None, bias=None, eps=1e-5, *_, **__: layer_norm(x, shape, weight, bias, eps),
    "native_layer_norm": lambda x, shape, weight, bias, eps: (layer_norm(x, shape, weight, bias, eps), None, None),
    "rms_norm": rms_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "scaled_dot_product_attention": attention,
    "multi_head_attention_forward": multi_head_attention,
    "var": variance,
    "std": lambda *args, **kwargs: torch.sqrt(variance(*args, **kwargs)),
    "linalg_vector_norm": vector_norm,
    "norm": lambda x, p=2, dim=None, keepdim=False, **_: vector_norm(x, p, dim, keepdim),
    "cosine_similarity": cosine_similarity,
    "glu": glu,
    "logaddexp": lambda a, b: b + functional.softplus(a - b),
    "lerp": lambda a, b, weight: a + weight * (b - a),
    "addcmul": lambda a, b, c, value=1: a + value * (b * c),
    "addcdiv": lambda a, b, c, value=1: a + value * (b / c),
    **{name: fused(product) for name, product in FUSED.items()},
}
"""Decompositions into sums, products and elementwise functions, by the operation's name."""


def modulus(z: torch.Tensor) -> torch.Tensor:
    """√(real² + imaginary²) of complex numbers."""
    parts = torch.view_as_real(z.resolve_conj())
    return torch.sqrt((parts * parts).sum(-1))


COMPLEX: dict[str, Callable[..., torch.Tensor]] = {"abs": modulus, "absolute": modulus}
"""Decompositions of functions of complex numbers."""


def refuse_randomness(method: str, name: str, args: Any, kwargs: Any) -> None:
    """Raise ``CapabilityError`` for active dropout, and for a batch norm that uses statistics of the batch."""
    training = kwargs.get("training", next((a for a in args[1:] if isinstance(a, bool)), False))
    if "dropout" in name and training and kwargs.get("p", 0.5):
        raise CapabilityError(f"{method}: the net applies dropout although it is in evaluation mode.")
    if name == "batch_norm" and training:
        raise CapabilityError(
            f"{method}: a batch norm without running statistics mixes the rows of a batch, so a row's explanation "
            f"would depend on the other rows."
        )


def out_of_place(name: str) -> Callable[..., Any]:
    """The out-of-place form of an in-place operation."""
    if name == "zero":
        return torch.zeros_like
    for place in (torch, functional, torch.Tensor):
        if hasattr(place, name):
            return getattr(place, name)
    raise CapabilityError(f"the net changes a tensor in place by {name!r}, which has no out-of-place form.")


def without(kwargs: Any, name: str) -> dict[str, Any]:
    """Keyword arguments without one of them."""
    return {key: value for key, value in kwargs.items() if key != name}
