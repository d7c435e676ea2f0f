# SPDX-License-Identifier: Apache-2.0
"""A small network with self-attention on embedded words. Importing needs torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from assay.basics.optional import need

if TYPE_CHECKING:
    import torch as pt

    Module = pt.nn.Module
else:
    Module = need("torch", extra="torch").nn.Module


class SelfAttention(Module):
    """x + softmax(Q Kᵀ / √d) V over tokens, one head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        nn = need("torch", extra="torch").nn
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))

    def forward(self, x: pt.Tensor) -> pt.Tensor:
        """Each token plus the output of its attention head."""
        pt = need("torch", extra="torch")
        q, k, v = (layer(x)[:, None] for layer in (self.query, self.key, self.value))
        return x + pt.nn.functional.scaled_dot_product_attention(q, k, v)[:, 0]


class Mean(Module):
    """The mean over tokens."""

    def forward(self, x: pt.Tensor) -> pt.Tensor:
        """(row, unit)."""
        return x.mean(dim=1)


def attention_network(width: int, hidden: int = 24) -> Callable[[], Module]:
    """Self-attention, a ReLU layer on each token, the mean over tokens, two scores."""

    def build() -> Module:
        nn = need("torch", extra="torch").nn
        return nn.Sequential(SelfAttention(width), nn.Linear(width, hidden), nn.ReLU(), Mean(), nn.Linear(hidden, 2))

    return build
