# SPDX-License-Identifier: Apache-2.0
"""Attention matrices of an unmodified net, seen by standing between it and torch's functions while it runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from assay.basics.errors import CapabilityError
from assay.basics.fingerprint import digest
from assay.basics.types import Array
from assay.model.model import Model, Slope
from assay.nouns.inputs.rows import Rows

if TYPE_CHECKING:
    import torch as pt

NONE_SEEN = (
    "no attention matrix of {tokens} × {tokens} tokens was seen while {name} ran. The net has no self-attention over "
    "its tokens, or computes it in a fused kernel of its own: load it with attn_implementation='eager' or 'sdpa'."
)


def may_attend(model: Model) -> bool:
    """Whether attention is to be expected: a model of texts, or a net with a module that is called so. Asks nothing."""
    kinds = () if model.net is None else {type(module).__name__.lower() for module in model.net.modules()}
    return model.encode is not None or any("attention" in kind or "attn" in kind for kind in kinds)


def attended(model: Model) -> Model:
    """The model whose outputs are its attention matrices (row, layer, head, query, key); each query's row sums to 1."""

    def forward(rows: Rows) -> Array:
        seen: list[Array] = []
        with watching(seen, rows):
            model.forward(rows)
        return stacked(seen, model.name, rows)

    return replace(
        model,
        forward=forward,
        fingerprint=digest(model.fingerprint, "attended"),
        gives="units",
        classes=(),
        recomputed=None,
        cut=None,
        inside=None,
    )


def through_attention(model: Model) -> Model:
    """The same model; its slope is taken at all attention matrices at once: (row, layer, head, query, key).

    The matrices are nodes of the graph, so a layer's gradient holds what flows through the layers above.
    """
    return replace(model, inside=_Attention(model), recomputed=None, cut=None)


@dataclass(frozen=True, eq=False)
class _Attention:
    """The attention matrices as a place to take slopes at."""

    model: Model

    def slope(self, read: Callable[[Array], Array], rows: Rows, layer: str, along: Array | None) -> Slope:
        """The gradient of ``read(outputs)`` by the attention matrices, and the matrices."""
        import torch as pt

        seen: list[Array] = []
        with pt.enable_grad():
            rows = replace(rows, x=rows.x.detach().requires_grad_(True))  # so that there is a graph at all
            with watching(seen, rows):
                total = read(self.model.forward(rows)).sum()
            maps = stacked(seen, self.model.name, rows)
            slopes = pt.autograd.grad(total, seen, materialize_grads=True)
        return Slope(stacked(slopes, self.model.name, rows), maps.detach())

    def weight(self, row: Rows) -> tuple[int, int]:
        """That of the net."""
        assert self.model.inside is not None
        return self.model.inside.weight(row)

    def backward(self, read: Callable[[Array], Array], rows: Rows, ruling: Any, start: Array | None) -> Any:
        """Refused: rules go back to the rows, not to attention matrices."""
        raise CapabilityError(f"{self.model.name}: rules go back to rows; ask the model itself, not its attention.")


def stacked(maps: Sequence[Array], name: str, rows: Rows) -> Array:
    """Matrices of layers, seen one after another, as (row, layer, head, query, key)."""
    import torch as pt

    tokens = rows.shape[0] if rows.shape else 0
    if not maps:
        raise CapabilityError(NONE_SEEN.format(tokens=tokens, name=name))
    square = [one.reshape(len(rows), -1, tokens, tokens) for one in maps]
    heads = {one.shape[1] for one in square}
    if len(heads) > 1:
        raise CapabilityError(f"the attention layers of {name} have {sorted(heads)} heads; equal numbers are needed.")
    return pt.stack(square, dim=1)


def watching(seen: list[Array], rows: Rows) -> AbstractContextManager[Any]:
    """While open, attention over the rows' tokens is computed by its definition, and its matrices are kept in ``seen``.

    Three ways to write it are known: ``scaled_dot_product_attention``, ``multi_head_attention_forward`` (what
    ``nn.MultiheadAttention`` and ``nn.TransformerEncoder`` call), and a softmax over square scores.
    """
    import torch as pt

    functional = pt.nn.functional
    softmax = {pt.softmax, functional.softmax, pt.Tensor.softmax}
    if len(rows.shape) != 2:
        raise CapabilityError(f"attention is between tokens; rows (token, dimension) are needed, got {rows.shape}.")
    count, tokens = len(rows), rows.shape[0]

    def keep(probabilities: pt.Tensor) -> None:
        shape = probabilities.shape
        if len(shape) >= 3 and shape[-2:] == (tokens, tokens) and shape[0] % count == 0:
            seen.append(probabilities)

    class Watching(pt.overrides.TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            options = dict(kwargs or {})
            if func is functional.scaled_dot_product_attention:
                probabilities, values = scaled_dot_product(*args, **options)
                keep(probabilities)
                return probabilities @ values
            if func is functional.multi_head_attention_forward:
                return _multi_head(func, keep, args, options)
            out = func(*args, **options)
            if func in softmax:
                keep(out)
            return out

    return Watching()


def scaled_dot_product(
    query: pt.Tensor,
    key: pt.Tensor,
    value: pt.Tensor,
    attn_mask: pt.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[pt.Tensor, pt.Tensor]:
    """Probabilities and values: softmax(scale · q kᵀ + mask), a query that sees nothing attends to nothing."""
    import torch as pt

    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    scores = pt.matmul(query * (query.shape[-1] ** -0.5 if scale is None else scale), key.transpose(-2, -1))
    hidden = None
    if is_causal:
        hidden = pt.ones(scores.shape[-2:], dtype=pt.bool, device=scores.device).triu(1)
    elif attn_mask is not None and attn_mask.dtype == pt.bool:
        hidden = ~attn_mask
    elif attn_mask is not None:
        scores = scores + attn_mask
    if hidden is not None:
        scores = scores.masked_fill(hidden, float("-inf"))
    blind = (scores == float("-inf")).all(dim=-1, keepdim=True)
    return scores.masked_fill(blind, 0.0).softmax(dim=-1).masked_fill(blind, 0.0), value


def _multi_head(
    func: Any, keep: Callable[[pt.Tensor], None], args: Sequence[Any], options: Mapping[str, Any]
) -> tuple[pt.Tensor, pt.Tensor | None]:
    """What the function gives, its output computed once more from the probabilities it tells, which are kept."""
    import torch as pt

    linear = pt.nn.functional.linear
    bound = inspect.signature(func).bind(*args, **options)
    bound.apply_defaults()
    given = bound.arguments
    asked = {**given, "need_weights": True, "average_attn_weights": False}
    _, probabilities = func(**asked)
    value, heads, width = given["value"], given["num_heads"], given["embed_dim_to_check"]
    batched = value.ndim == 3
    if not batched or probabilities.shape[-1] != len(value) or given["static_v"] is not None:
        raise CapabilityError(
            "attention with bias_k, add_zero_attn, static keys or rows without a batch axis cannot be looked into."
        )
    keep(probabilities)
    weight = given["v_proj_weight"] if given["use_separate_proj_weight"] else given["in_proj_weight"][2 * width :]
    bias = None if given["in_proj_bias"] is None else given["in_proj_bias"][2 * width :]
    keys, rows, _ = value.shape
    values = linear(value, weight, bias).reshape(keys, rows, heads, -1).permute(1, 2, 0, 3)
    mixed = (probabilities @ values).permute(2, 0, 1, 3).reshape(probabilities.shape[-2], rows, -1)
    told = None
    if given["need_weights"]:
        told = probabilities.mean(dim=1) if given["average_attn_weights"] else probabilities
    return linear(mixed, given["out_proj_weight"], given["out_proj_bias"]), told
