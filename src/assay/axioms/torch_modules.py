# SPDX-License-Identifier: Apache-2.0
"""Torch modules of the axiom tests: a self-attention network, an input shift, an input mask. Importing needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from assay.axioms.networks import Function, activation_layers, linear_layer
from assay.basics.optional import need
from assay.basics.types import Floats

if TYPE_CHECKING:
    import torch as pt

    Module = pt.nn.Module
else:
    Module = need("torch", extra="torch").nn.Module


class SelfAttention(Module):
    """x + Σ_h o_h softmax(q_h x (k_h x)ᵀ) x over tokens of one dimension (row, token, 1)."""

    def __init__(self, q: Sequence[float] = (0.5,), k: Sequence[float] = (0.5,), o: Sequence[float] = (1.0,)) -> None:
        super().__init__()
        pt = need("torch", extra="torch")
        self.q, self.k, self.o = (pt.nn.Parameter(pt.tensor(one, dtype=pt.float64)) for one in (q, k, o))

    def forward(self, x: pt.Tensor) -> pt.Tensor:
        """Each token plus the output of its attention heads."""
        pt = need("torch", extra="torch")
        heads = x[:, None]  # (row, 1, token, 1)
        q, k = heads * self.q[:, None, None], heads * self.k[:, None, None]
        attended = pt.nn.functional.scaled_dot_product_attention(q, k, heads.expand_as(q), scale=1.0)
        return x + (attended * self.o[:, None, None]).sum(dim=1)


class AttentionNetwork(Module):
    """Attention, then one function for each token, summed with weights u: Σ_t u_t v · act(w z_t + c) + b."""

    def __init__(
        self,
        f: Function,
        position_weights: Floats,
        input_layers: Sequence[Module] = (),
        attention: Module | None = None,
    ) -> None:
        super().__init__()
        pt = need("torch", extra="torch")
        self.attention = SelfAttention() if attention is None else attention
        self.token_function = pt.nn.Sequential(
            linear_layer(f.w[:, :1], f.c), *activation_layers(f.act), linear_layer(f.v[None])
        )
        self.input_layers = pt.nn.Sequential(*input_layers)
        self.head = linear_layer(position_weights[None], [f.b])

    def forward(self, x: pt.Tensor) -> pt.Tensor:
        """Scores (row, 1)."""
        return self.head(self.token_function(self.attention(self.input_layers(x)))[..., 0])


class InputShift(Module):
    """x − m."""

    m: pt.Tensor

    def __init__(self, m: Floats) -> None:
        super().__init__()
        pt = need("torch", extra="torch")
        self.register_buffer("m", pt.as_tensor(m))

    def forward(self, x: pt.Tensor) -> pt.Tensor:
        """The input minus the shift."""
        return x - self.m


class InputMask(Module):
    """x · m."""

    m: pt.Tensor

    def __init__(self, m: Floats) -> None:
        super().__init__()
        pt = need("torch", extra="torch")
        self.register_buffer("m", pt.as_tensor(m))

    def forward(self, x: pt.Tensor) -> pt.Tensor:
        """The input times the mask."""
        return x * self.m


class AddedUnit(Module):
    """f(x) + max(0, w · x + b): a network with one more rectified unit."""

    def __init__(self, f: Module, unit: Module) -> None:
        super().__init__()
        pt = need("torch", extra="torch")
        self.unit = pt.nn.Sequential(pt.nn.Flatten(), unit, pt.nn.ReLU())
        self.f = f

    def forward(self, x: pt.Tensor) -> pt.Tensor:
        """The sum."""
        return self.f(x) + self.unit(x)
