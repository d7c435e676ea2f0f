"""Small nets whose paths can be enumerated: a net of the Llama kind, and a perceptron with skips."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

WIDTH, HEADS, LENGTH, VOCABULARY = 8, 2, 4, 11
LETTERS = "abcdefghijk"


class CausalAttention(torch.nn.Module):
    """Causal attention with rotated queries and keys, and a mixer of the heads."""

    num_heads = HEADS

    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            torch.nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, length, _ = x.shape
        q, k, v = (
            one(x).reshape(rows, length, HEADS, -1).transpose(1, 2) for one in (self.q_proj, self.k_proj, self.v_proj)
        )
        angle = torch.arange(length, dtype=x.dtype)[:, None] * torch.tensor([1.0, 0.1], dtype=x.dtype)
        mixed = torch.nn.functional.scaled_dot_product_attention(
            rotated(q, angle), rotated(k, angle), v, is_causal=True
        )
        return self.o_proj(mixed.transpose(1, 2).reshape(rows, length, WIDTH))


def rotated(x: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * angle.cos() - second * angle.sin(), first * angle.sin() + second * angle.cos()], dim=-1)


class Norm(torch.nn.Module):
    """The root mean square norm."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()


class Block(torch.nn.Module):
    """x + attention, then + a gated feed-forward net."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.self_attn = Norm(), CausalAttention()
        self.gate, self.up, self.down = (torch.nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.self_attn(self.norm(x))
        y = self.norm(x)
        return x + self.down(torch.nn.functional.silu(self.gate(y)) * self.up(y))


class Causal(torch.nn.Module):
    """Token ids to scores of the token after the last."""

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = torch.nn.ModuleList(Block() for _ in range(depth))
        self.head = torch.nn.Linear(WIDTH, 3)

    def forward(self, ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x)
        last = attention_mask.sum(1) - 1
        return self.head(x[torch.arange(len(x)), last])


class SkipNet(torch.nn.Module):
    """A perceptron with skips, whose layers are blocks."""

    class Part(torch.nn.Module):
        """x + tanh."""

        def __init__(self, width: int) -> None:
            super().__init__()
            self.inner = torch.nn.Linear(width, width)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.tanh(self.inner(x))

    def __init__(self, width: int = 3, depth: int = 3) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList(self.Part(width) for _ in range(depth))
        self.head = torch.nn.Linear(width, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in self.parts:
            x = part(x)
        return self.head(x)


def letters(texts: list[str]) -> Any:
    """One token a letter, with spaces between."""
    import assay

    rows = [text.split() for text in texts]
    width = max(map(len, rows))
    ids = np.array([[LETTERS.index(row[i]) if i < len(row) else 0 for i in range(width)] for row in rows])
    real = np.array([[i < len(row) for i in range(width)] for row in rows])
    pieces = [row + [""] * (width - len(row)) for row in rows]
    word = np.where(real, np.arange(width), -1)
    return assay.model.Tokens(ids, word, {"attention_mask": real.astype(np.int64)}, pieces)


def jacobians(layers: list[Any], x: torch.Tensor) -> list[torch.Tensor]:
    """The Jacobian of every layer at the states of one row (position, width, position, width)."""
    found = []
    for layer in layers:
        found.append(torch.autograd.functional.jacobian(lambda one, layer=layer: layer(one[None])[0], x))
        x = layer(x[None])[0].detach()
    return found


def enumerated(
    chain: list[torch.Tensor], adjoint: torch.Tensor, direction: torch.Tensor, source: int
) -> dict[Any, float]:
    """The influence of every path of positions from the source on, by multiplying its Jacobians."""
    length = len(direction)
    found = {}
    for path in itertools.product(range(length), repeat=len(chain)):
        vector, place = direction[source], source
        for jacobian, after in zip(chain, path):
            vector, place = jacobian[after, :, place, :] @ vector, after
        found[path] = float((adjoint[place] @ vector).detach())
    return found
