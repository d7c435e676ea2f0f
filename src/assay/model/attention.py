# SPDX-License-Identifier: Apache-2.0
"""Attention matrices of an unmodified net, recorded by intercepting torch's attention functions while it runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from assay.basics.errors import CapabilityError
from assay.basics.fingerprint import digest
from assay.basics.types import Array
from assay.model.model import LayerGradient, Model
from assay.model.texts.padding import keep_padding
from assay.nouns.inputs.rows import Rows

if TYPE_CHECKING:
    import torch as pt

NO_ATTENTION = (
    "no attention matrix of {tokens} × {tokens} tokens was found while {name} ran. The net has no self-attention over "
    "its tokens, or computes it in a fused kernel of its own: load it with attn_implementation='eager' or 'sdpa'."
)


def may_have_attention(model: Model) -> bool:
    """Whether a net reads text, or has a module whose class name contains "attention"; no pass is made.

    The matrices of an encoder-decoder are of three kinds (encoder, decoder, between both) and have no common order.
    """
    if model.net is None or getattr(getattr(model.net, "config", None), "is_encoder_decoder", False):
        return False
    kinds = {type(module).__name__.lower() for module in model.net.modules()}
    return model.encode is not None or any("attention" in kind or "attn" in kind for kind in kinds)


def attention_model(model: Model) -> Model:
    """The model whose outputs are its attention matrices (row, layer, head, query, key); each query's row sums to 1."""

    def forward(rows: Rows) -> Array:
        recorded: list[Array] = []
        with record_attention(recorded, rows):
            model.forward(keep_padding(model, rows))
        return stack_matrices(recorded, model.name, rows)

    return replace(
        model,
        forward=forward,
        fingerprint=digest(model.fingerprint, "attended"),
        gives="units",
        classes=(),
        rebuild=None,
        cut=None,
        layer_access=None,
    )


def attention_gradient_model(model: Model) -> Model:
    """The same model; its layer gradient is by all attention matrices at once: (row, layer, head, query, key).

    The matrices are nodes of the graph, so the gradient by one layer's matrices includes the path through later layers.
    """
    return replace(model, layer_access=_AttentionAccess(model), rebuild=None, cut=None)


@dataclass(frozen=True, eq=False)
class _AttentionAccess:
    """Access to the attention matrices as if they were a layer."""

    model: Model

    def layer_gradient(
        self, read: Callable[[Array], Array], rows: Rows, layer: str, along: Array | None
    ) -> LayerGradient:
        """The gradient of ``read(outputs)`` by the attention matrices, and the matrices."""
        import torch as pt

        recorded: list[Array] = []
        with pt.enable_grad():
            rows = replace(rows, x=rows.x.detach().requires_grad_(True))  # otherwise autograd records no graph
            with record_attention(recorded, rows):
                total = read(self.model.forward(keep_padding(self.model, rows))).sum()
            matrices = stack_matrices(recorded, self.model.name, rows)
            gradients = pt.autograd.grad(total, recorded, materialize_grads=True)
        return LayerGradient(stack_matrices(gradients, self.model.name, rows), matrices.detach())

    def row_bytes(self, row: Rows) -> tuple[int, int]:
        """The bytes of the net."""
        assert self.model.layer_access is not None
        return self.model.layer_access.row_bytes(row)

    def backward(self, read: Callable[[Array], Array], rows: Rows, make_rules: Any, start: Array | None) -> Any:
        """Refused: backward rules propagate to the rows, not to attention matrices."""
        raise CapabilityError(
            f"{self.model.name}: backward rules propagate to the rows; use the model itself, not its attention."
        )


def stack_matrices(matrices: Sequence[Array], name: str, rows: Rows) -> Array:
    """The matrices of the layers, in the order of the pass, as (row, layer, head, query, key)."""
    import torch as pt

    tokens = rows.shape[0] if rows.shape else 0
    if not matrices:
        raise CapabilityError(NO_ATTENTION.format(tokens=tokens, name=name))
    square = [one.reshape(len(rows), -1, tokens, tokens) for one in matrices]
    heads = {one.shape[1] for one in square}
    if len(heads) > 1:
        raise CapabilityError(
            f"the attention layers of {name} have {sorted(heads)} heads; equal numbers of heads are needed."
        )
    return pt.stack(square, dim=1)


def record_attention(recorded: list[Array], rows: Rows) -> AbstractContextManager[Any]:
    """Context in which attention over the rows' tokens is computed by its definition, and added to ``recorded``.

    Three forms are recognised: ``scaled_dot_product_attention``, ``multi_head_attention_forward`` (which
    ``nn.MultiheadAttention`` and ``nn.TransformerEncoder`` call), and a softmax over square scores.
    """
    import torch as pt

    functional = pt.nn.functional
    softmax = {pt.softmax, functional.softmax, pt.Tensor.softmax}
    if len(rows.shape) != 2:
        raise CapabilityError(f"attention needs rows of shape (token, dimension); these have shape {rows.shape}.")
    count, tokens = len(rows), rows.shape[0]

    def record(probabilities: pt.Tensor) -> None:
        shape = probabilities.shape
        if len(shape) >= 3 and shape[-2:] == (tokens, tokens) and shape[0] % count == 0:
            recorded.append(probabilities)

    class Recorder(pt.overrides.TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            options = dict(kwargs or {})
            if func is functional.scaled_dot_product_attention:
                probabilities, values = scaled_dot_product(*args, **options)
                record(probabilities)
                return probabilities @ values
            if func is functional.multi_head_attention_forward:
                return _multi_head(func, record, args, options)
            out = func(*args, **options)
            if func in softmax:
                record(out)
            return out

    return Recorder()


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
    """Attention probabilities softmax(scale · q kᵀ + mask), and the values; a fully masked query gets probabilities 0.

    With ``enable_gqa``, key and value heads are repeated to the number of query heads.
    """
    import torch as pt

    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    scores = pt.matmul(query * (query.shape[-1] ** -0.5 if scale is None else scale), key.transpose(-2, -1))
    masked = None
    if is_causal:
        masked = pt.ones(scores.shape[-2:], dtype=pt.bool, device=scores.device).triu(1)
    elif attn_mask is not None and attn_mask.dtype == pt.bool:
        masked = ~attn_mask
    elif attn_mask is not None:
        scores = scores + attn_mask
    if masked is not None:
        scores = scores.masked_fill(masked, float("-inf"))
    fully_masked = (scores == float("-inf")).all(dim=-1, keepdim=True)
    return scores.masked_fill(fully_masked, 0.0).softmax(dim=-1).masked_fill(fully_masked, 0.0), value


def _multi_head(
    func: Any, record: Callable[[pt.Tensor], None], args: Sequence[Any], options: Mapping[str, Any]
) -> tuple[pt.Tensor, pt.Tensor | None]:
    """The result of ``multi_head_attention_forward``, computed from its probabilities, which are recorded."""
    import torch as pt

    linear = pt.nn.functional.linear
    bound = inspect.signature(func).bind(*args, **options)
    bound.apply_defaults()
    given = bound.arguments
    _, probabilities = func(**{**given, "need_weights": True, "average_attn_weights": False})
    value, heads, width = given["value"], given["num_heads"], given["embed_dim_to_check"]
    batched = value.ndim == 3
    if not batched or probabilities.shape[-1] != len(value) or given["static_v"] is not None:
        raise CapabilityError(
            "attention with bias_k, add_zero_attn, static keys or rows without a batch axis cannot be recorded."
        )
    record(probabilities)
    weight = given["v_proj_weight"] if given["use_separate_proj_weight"] else given["in_proj_weight"][2 * width :]
    bias = None if given["in_proj_bias"] is None else given["in_proj_bias"][2 * width :]
    keys, rows, _ = value.shape
    values = linear(value, weight, bias).reshape(keys, rows, heads, -1).permute(1, 2, 0, 3)
    mixed = (probabilities @ values).permute(2, 0, 1, 3).reshape(probabilities.shape[-2], rows, -1)
    returned = None
    if given["need_weights"]:
        returned = probabilities.mean(dim=1) if given["average_attn_weights"] else probabilities
    return linear(mixed, given["out_proj_weight"], given["out_proj_bias"]), returned
