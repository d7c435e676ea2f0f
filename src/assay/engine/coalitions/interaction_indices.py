# SPDX-License-Identifier: Apache-2.0
"""Interaction indices: each a density on the diagonal of a game's multilinear extension.

With D_S(p) the mixed derivative, by the parts of S, of E[v] when every part is present with chance p, an index of S is
∫ D_S(p) w(p) dp. So it is enough to say w by nodes and weights: what a unanimity game on T ⊇ S gives to S is then
Σ w p^(t−s), and what one coalition T counts is ± Σ w p^|T∖S| (1−p)^|N∖S∖T|. Some indices of order k hand what the sets
of more members have down to fewer; they add a factor for each number of members that was left out.
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
"""Places p in [0, 1] and their weights."""


def _alone(more: int) -> float:
    return 1.0 if more == 0 else 0.0


@dataclass(frozen=True)
class Index:
    """``density(size, order, fineness)`` is w for sets of ``size`` members; ``fineness`` nodes integrate the game.

    ``handed(more)`` is the factor with which sets of so many more members count, too. ``complete`` says that all
    interactions up to the order add up to v(N) − v(∅); ``even`` that all coalitions count alike, so that the polynomial
    to begin with is fitted to all alike; ``border`` how far beyond ``order`` − 1 members every coalition is needed.
    """

    name: str
    density: Callable[[int, int, int], Nodes]
    handed: Callable[[int], float] = _alone
    complete: bool = False
    even: bool = False
    border: int = 0

    def shares(self, order: int, parts: int) -> Floats:
        """What a set of s members gets of a unanimity game on t ⊇ s of them, (s, t)."""
        out = np.zeros((order + 1, parts + 1))
        for size in range(1, order + 1):
            for more in range(order - size + 1):
                p, w = self.density(size + more, order, _fine(order, parts))
                for t in range(size + more, parts + 1):
                    out[size, t] += self.handed(more) * comb(t - size, more) * float(w @ p ** (t - size - more))
        return out

    def weights(self, order: int, parts: int) -> Floats:
        """What a coalition of t parts counts for a set of s members of which l are in it, (s, t, l)."""
        plain = np.zeros((order + 1, parts + 1, order + 1))
        for size in range(1, min(order, parts) + 1):
            p, w = self.density(size, order, _fine(order, parts))
            for t in range(parts + 1):
                for inside in range(max(0, size + t - parts), min(size, t) + 1):
                    powers = p ** (t - inside) * (1 - p) ** (parts - size - t + inside)
                    plain[size, t, inside] = (-1) ** (size - inside) * float(w @ powers)
        if self.handed is _alone:
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
                self.handed(more) * comb(present, j) * comb(absent, more - j) * plain[size + more, t, inside + j]
                for more in range(min(order, parts) - size + 1)
                for j in range(more + 1)
            )
        )


def _fine(order: int, parts: int) -> int:
    """Gauss–Legendre nodes for which polynomials of the game's degree times the density's are exact."""
    return (parts + 2 * order) // 2 + 1


def _flat(size: int, order: int, fineness: int) -> Nodes:
    p, w = roots_legendre(fineness)
    return (p + 1) / 2, w / 2


def _halfway(size: int, order: int, fineness: int) -> Nodes:
    return np.array([0.5]), np.array([1.0])


def _origin(size: int, order: int, fineness: int) -> Nodes:
    return np.array([0.0]), np.array([1.0])


def _chained(size: int, order: int, fineness: int) -> Nodes:
    p, w = _flat(size, order, fineness)
    return p, w * size * p ** (size - 1)


def _taylor(size: int, order: int, fineness: int) -> Nodes:
    if size < order:
        return _origin(size, order, fineness)
    p, w = _flat(size, order, fineness)
    return p, w * order * (1 - p) ** (order - 1)


def _faithful(size: int, order: int, fineness: int) -> Nodes:
    """The density whose moments are the closed form of Tsai and others; Beta(k, k) for the top order.

    Σ_j a_j p^(s+j−1), the partial fractions of Π_{i≤k−s}(q − i) / Π_{i<k}(q + s + i) in q = t − s, 1 at q = 0.
    """
    p, w = _flat(size, order, fineness)
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
        Index("sii", _flat),
        Index("k_sii", _flat, handed=lambda more: float(bernoulli(more)[more]), complete=True),
        Index("stii", _taylor, complete=True),
        Index("fsii", _faithful, complete=True),
        Index("banzhaf", _halfway, even=True),
        Index("fbii", _halfway, handed=lambda more: (-0.5) ** more, even=True),
        Index("chaining", _chained),
        Index("moebius", _origin, border=1),
    )
}
"""Every index by its name in the literature."""


def index_named(name: str) -> Index:
    """The index of this name."""
    if name not in INDICES:
        raise InputError(f"no interaction index {name!r}; there are {', '.join(INDICES)}.")
    return INDICES[name]


def subsets(parts: int, order: int) -> Ints:
    """All sets of 1 … ``order`` of the parts (subset, order), small ones first, filled up with −1."""
    found = [
        np.array(list(combinations(range(parts), size)), dtype=np.int64).reshape(-1, size)
        for size in range(1, min(order, parts) + 1)
    ]
    wide = [np.pad(some, ((0, 0), (0, order - some.shape[1])), constant_values=-1) for some in found]
    return np.concatenate(wide) if wide else np.zeros((0, order), dtype=np.int64)


def moebius(values: Floats) -> Floats:
    """What every coalition adds to its parts' coalitions, (row, 2^n): v(S) = Σ_{T⊆S} a(T); first part = lowest bit."""
    out = values.copy()
    for i in range(int(np.log2(values.shape[1]))):
        halves = out.reshape(len(out), -1, 2, 2**i)
        halves[:, :, 1] -= halves[:, :, 0]
    return out


def over_supersets(values: Floats) -> Floats:
    """The sum over all supersets of each coalition, itself among them, (row, 2^n)."""
    out = values.copy()
    for i in range(int(np.log2(values.shape[1]))):
        halves = out.reshape(len(out), -1, 2, 2**i)
        halves[:, :, 0] += halves[:, :, 1]
    return out


def exact(index: Index, order: int, values: Floats) -> Floats:
    """The index of every set of 1 … ``order`` parts (row, subset), from v of all coalitions (row, 2^n)."""
    parts = int(np.log2(values.shape[1]))
    codes = np.arange(values.shape[1])
    sizes = np.bitwise_count(codes).astype(np.int64)
    shares, wanted = index.shares(order, parts), subsets(parts, order)
    members = np.where(wanted >= 0, 1 << np.maximum(wanted, 0), 0).sum(axis=1)
    out = np.empty((len(values), len(wanted)))
    for row, game in enumerate(values):  # one row at a time bounds the memory
        added = moebius(game[None] - game[0])
        for size in range(1, min(order, parts) + 1):
            places = np.flatnonzero(sizes[members] == size)
            out[row, places] = over_supersets(added * shares[size, sizes])[0, members[places]]
    return out
