# SPDX-License-Identifier: Apache-2.0
"""Interaction indices: each is a density on the diagonal of a game's multilinear extension.

Let D_S(p) be the mixed derivative, by the parts of S, of E[v] when every part is present with probability p. An index
of S is ∫ D_S(p) w(p) dp, so w, given by nodes and weights, defines the index: a unanimity game on T ⊇ S gives
Σ w p^(t−s) to S, and the weight of one coalition T is ± Σ w p^|T∖S| (1−p)^|N∖S∖T|. Some indices of order k redistribute
the interactions of larger sets to smaller ones, by a factor that depends on the difference of their sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import comb, factorial, prod

import numpy as np
from scipy.special import bernoulli, roots_legendre

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints

Nodes = tuple[Floats, Floats]
"""Nodes p in [0, 1] and their weights."""


def _no_redistribution(more: int) -> float:
    return 1.0 if more == 0 else 0.0


@dataclass(frozen=True)
class InteractionIndex:
    """``density(size, order, nodes)`` is w for sets of ``size`` members, as ``nodes`` quadrature nodes and weights.

    ``redistribution(more)`` is the factor by which interactions of sets with ``more`` further members are added.
    ``is_efficient``: all interactions up to the order add up to v(N) − v(∅). ``is_uniform``: all coalitions have equal
    weight, so the polynomial is fitted with equal weights. ``boundary_sizes``: every coalition of up to ``order`` − 1
    + ``boundary_sizes`` members (or absent members) is needed.
    """

    name: str
    density: Callable[[int, int, int], Nodes]
    redistribution: Callable[[int], float] = _no_redistribution
    is_efficient: bool = False
    is_uniform: bool = False
    boundary_sizes: int = 0

    def shares(self, order: int, parts: int) -> Floats:
        """The index (s, t) of a set of s members in a unanimity game on t members that include them."""
        out = np.zeros((order + 1, parts + 1))
        for size in range(1, order + 1):
            for more in range(order - size + 1):
                p, w = self.density(size + more, order, _node_count(order, parts))
                for t in range(size + more, parts + 1):
                    out[size, t] += self.redistribution(more) * comb(t - size, more) * float(w @ p ** (t - size - more))
        return out

    def weights(self, order: int, parts: int) -> Floats:
        """The weight (s, t, l) of a coalition of t parts in the index of a set of s members, l of them in it."""
        plain = np.zeros((order + 1, parts + 1, order + 1))
        for size in range(1, min(order, parts) + 1):
            p, w = self.density(size, order, _node_count(order, parts))
            for t in range(parts + 1):
                for inside in range(max(0, size + t - parts), min(size, t) + 1):
                    powers = p ** (t - inside) * (1 - p) ** (parts - size - t + inside)
                    plain[size, t, inside] = (-1) ** (size - inside) * float(w @ powers)
        if self.redistribution is _no_redistribution:
            return plain
        out = np.zeros_like(plain)
        for size in range(1, min(order, parts) + 1):
            for t in range(parts + 1):
                for inside in range(max(0, size + t - parts), min(size, t) + 1):
                    out[size, t, inside] = self._with_larger(plain, size, t, inside)
        return out

    def _with_larger(self, plain: Floats, size: int, t: int, inside: int) -> float:
        order, parts = plain.shape[0] - 1, plain.shape[1] - 1
        present, absent = t - inside, parts - size - t + inside
        return float(
            sum(
                self.redistribution(more)
                * comb(present, j)
                * comb(absent, more - j)
                * plain[size + more, t, inside + j]
                for more in range(min(order, parts) - size + 1)
                for j in range(more + 1)
            )
        )


def _node_count(order: int, parts: int) -> int:
    """Number of Gauss–Legendre nodes that integrate (degree of the game) × (degree of the density) exactly."""
    return (parts + 2 * order) // 2 + 1


def _uniform(size: int, order: int, nodes: int) -> Nodes:
    p, w = roots_legendre(nodes)
    return (p + 1) / 2, w / 2


def _half(size: int, order: int, nodes: int) -> Nodes:
    return np.array([0.5]), np.array([1.0])


def _zero(size: int, order: int, nodes: int) -> Nodes:
    return np.array([0.0]), np.array([1.0])


def _chaining(size: int, order: int, nodes: int) -> Nodes:
    p, w = _uniform(size, order, nodes)
    return p, w * size * p ** (size - 1)


def _taylor(size: int, order: int, nodes: int) -> Nodes:
    if size < order:
        return _zero(size, order, nodes)
    p, w = _uniform(size, order, nodes)
    return p, w * order * (1 - p) ** (order - 1)


def _faithful_shapley(size: int, order: int, nodes: int) -> Nodes:
    """The density whose moments are the closed form of Tsai et al. (2023); Beta(k, k) for the highest order.

    Σ_j a_j p^(s+j−1), the partial fractions of Π_{i≤k−s}(q − i) / Π_{i<k}(q + s + i) in q = t − s, 1 at q = 0.
    """
    p, w = _uniform(size, order, nodes)
    left = order - size
    scale = prod(size + i for i in range(order)) / ((-1) ** left * factorial(left))
    shape = np.zeros_like(p)
    for j in range(order):
        above = prod(-size - j - i for i in range(1, left + 1))
        below = prod(i - j for i in range(order) if i != j)
        shape += scale * above / below * p ** (size + j - 1)
    return p, w * shape


INDICES = {
    index.name: index
    for index in (
        InteractionIndex("sii", _uniform),
        InteractionIndex(
            "k_sii", _uniform, redistribution=lambda more: float(bernoulli(more)[more]), is_efficient=True
        ),
        InteractionIndex("stii", _taylor, is_efficient=True),
        InteractionIndex("fsii", _faithful_shapley, is_efficient=True),
        InteractionIndex("banzhaf", _half, is_uniform=True),
        InteractionIndex("fbii", _half, redistribution=lambda more: (-0.5) ** more, is_uniform=True),
        InteractionIndex("chaining", _chaining),
        InteractionIndex("moebius", _zero, boundary_sizes=1),
    )
}
"""All indices by their name in the literature."""


def index_named(name: str) -> InteractionIndex:
    """The index of this name."""
    if name not in INDICES:
        raise InputError(f"no interaction index {name!r}; there are {', '.join(INDICES)}.")
    return INDICES[name]


def subsets(parts: int, order: int) -> Ints:
    """All sets of 1 … ``order`` of the parts (subset, order), smallest first, padded with −1."""
    found = [
        np.array(list(combinations(range(parts), size)), dtype=np.int64).reshape(-1, size)
        for size in range(1, min(order, parts) + 1)
    ]
    wide = [np.pad(some, ((0, 0), (0, order - some.shape[1])), constant_values=-1) for some in found]
    return np.concatenate(wide) if wide else np.zeros((0, order), dtype=np.int64)


def moebius(values: Floats) -> Floats:
    """Möbius transform a (row, 2^n) of games v: v(S) = Σ_{T⊆S} a(T). The first part is the lowest bit."""
    out = values.copy()
    for i in range(int(np.log2(values.shape[1]))):
        halves = out.reshape(len(out), -1, 2, 2**i)
        halves[:, :, 1] -= halves[:, :, 0]
    return out


def sum_over_supersets(values: Floats) -> Floats:
    """The sum over all supersets of each coalition, with the coalition itself, (row, 2^n)."""
    out = values.copy()
    for i in range(int(np.log2(values.shape[1]))):
        halves = out.reshape(len(out), -1, 2, 2**i)
        halves[:, :, 0] += halves[:, :, 1]
    return out


def exact_interactions(index: InteractionIndex, order: int, values: Floats) -> Floats:
    """The index of every set of 1 … ``order`` parts (row, subset), from v of all coalitions (row, 2^n)."""
    parts = int(np.log2(values.shape[1]))
    codes = np.arange(values.shape[1])
    sizes = np.bitwise_count(codes).astype(np.int64)
    shares, sets = index.shares(order, parts), subsets(parts, order)
    members = np.where(sets >= 0, 1 << np.maximum(sets, 0), 0).sum(axis=1)
    out = np.empty((len(values), len(sets)))
    for row, game in enumerate(values):  # one row at a time bounds the memory
        transformed = moebius(game[None] - game[0])
        for size in range(1, min(order, parts) + 1):
            columns = np.flatnonzero(sizes[members] == size)
            out[row, columns] = sum_over_supersets(transformed * shares[size, sizes])[0, members[columns]]
    return out
