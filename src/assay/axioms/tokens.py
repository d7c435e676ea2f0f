# SPDX-License-Identifier: Apache-2.0
"""A tiny reader of tokens, and layers that move or mask a net's input. Loaded with torch, when a net is built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from assay.basics.optional import need
from assay.basics.types import Floats

if TYPE_CHECKING:
    import torch as pt

    from assay.axioms.subjects import Function

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
        """The tokens, each with what it attends to added."""
        pt = need("torch", extra="torch")
        heads = x[:, None]  # (row, 1, token, 1)
        q, k = heads * self.q[:, None, None], heads * self.k[:, None, None]
        seen = pt.nn.functional.scaled_dot_product_attention(q, k, heads.expand_as(q), scale=1.0)
        return x + (seen * self.o[:, None, None]).sum(dim=1)


class Reader(Module):
    """Attention, then a function of each token, weighted over tokens: Σ_t where_t v · act(w z_t + c) + b."""

    def __init__(self, f: Function, where: Floats, spare: Sequence[Module] = (), attention: Module | None = None):
        super().__init__()
        from assay.axioms.subjects import activation, linear

        pt = need("torch", extra="torch")
        self.attention = SelfAttention() if attention is None else attention
        self.inner = pt.nn.Sequential(linear(f.w[:, :1], f.c), *activation(f.act), linear(f.v[None]))
        self.before = pt.nn.Sequential(*spare)
        self.head = linear(where[None], [f.b])

    def forward(self, x: pt.Tensor) -> pt.Tensor:
        """Scores (row, 1)."""
        return self.head(self.inner(self.attention(self.before(x)))[..., 0])


class Moved(Module):
    """x − m."""

    m: pt.Tensor

    def __init__(self, m: Floats) -> None:
        super().__init__()
        pt = need("torch", extra="torch")
        self.register_buffer("m", pt.as_tensor(m))

    def forward(self, x: pt.Tensor) -> pt.Tensor:
        """The input less the pattern."""
        return x - self.m


class Masked(Module):
    """x · m."""

    m: pt.Tensor

    def __init__(self, m: Floats) -> None:
        super().__init__()
        pt = need("torch", extra="torch")
        self.register_buffer("m", pt.as_tensor(m))

    def forward(self, x: pt.Tensor) -> pt.Tensor:
        """The input times the mask."""
        return x * self.m


class Besides(Module):
    """f(x) + max(0, w · x + b)."""

    def __init__(self, f: Module, far: Module) -> None:
        super().__init__()
        pt = need("torch", extra="torch")
        self.far = pt.nn.Sequential(pt.nn.Flatten(), far, pt.nn.ReLU())
        self.f = f

    def forward(self, x: pt.Tensor) -> pt.Tensor:
        """The sum."""
        return self.f(x) + self.far(x)
