# SPDX-License-Identifier: Apache-2.0
"""What of a game is neither additive nor symmetric, predicted by parities of three parts.

Shapley values depend on v(S) − v(S^c) alone. In signs x = ±1 (present, absent) that is a sum of products of one, three,
five … parts. With q_T = x_i x_j x_k − (x_i + x_j + x_k)/3, whose Shapley values are 0, v(S) − v(S^c) = Σ φ_i x_i +
Σ b_T q_T + … : whatever b predicts can be subtracted before the least squares, and leaves less to chance. Predictions
for a pair come from fits without it (cross-fitting), so that standard errors stay honest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from assay.basics.types import Floats, Ints
from assay.engine.coalitions.leverage import Pairs
from assay.engine.coalitions.summary import as_bytes

PENALTIES = 10.0 ** np.arange(-3.0, 2.1, 0.5)
"""Ridge penalties tried, in units of a pair's mean squared length."""
TRAINED = 2048
"""Pairs that a ridge fit learns from; further ones are predicted."""
FEATURES = 10_000
"""Up to this many triples (39 parts) are listed and screened."""
FOLDS = 5
GROWTH = 1.4
"""Screening adds triples in blocks that grow so."""


def offered(pairs: Pairs) -> bool:
    """Whether third-order fits have a meaning: three parts, pairs that differ, something left to judge them by."""
    parts = pairs.half.shape[1]
    if parts < 3 or pairs.spare < 2 or pairs.listed.all():
        return False
    return len(np.unique(as_bytes(np.concatenate([pairs.half, ~pairs.half])))) == 2 * len(pairs.half)


@dataclass(frozen=True, eq=False)
class Ridge:
    """All triples with one penalty: kernel regression, with the additive part free. One decomposition for all rows."""

    pairs: Pairs

    @cached_property
    def learnt(self) -> Ints:
        """The pairs learnt from, spread evenly over the sizes."""
        count = len(self.pairs.half)
        return np.unique(np.linspace(0, count - 1, min(count, TRAINED)).round().astype(np.int64))

    @cached_property
    def kernel(self) -> Floats:
        """Σ_T q_T(S) q_T(R) of every pair S and every learnt pair R, over its mean at S = R."""
        parts = self.pairs.half.shape[1]
        one = np.where(self.pairs.half, 1.0, -1.0)
        other = one[self.learnt]
        inner, a, b = one @ other.T, one.sum(axis=1), other.sum(axis=1)
        products = (inner**3 - 3 * inner * parts + 2 * inner) / 6  # Σ_T χ_T(S) χ_T(R)
        # Σ_{j<k, both ≠ i} x_j x_k, summed against the other side's signs: Σ_T χ_T(S) Σ_{i∈T} x_i(R)
        mixed = (one * (((a[:, None] - one) ** 2 - (parts - 1)) / 2)) @ other.T
        mixed += one @ (other * (((b[:, None] - other) ** 2 - (parts - 1)) / 2)).T
        linear = (parts - 1) * (parts - 2) / 2 * inner + (parts - 2) * (np.outer(a, b) - inner)
        kernel = products - mixed / 3 + linear / 9
        scale = kernel[self.learnt, np.arange(len(self.learnt))].mean()
        return np.asarray(kernel / (scale if scale > 0 else 1.0))

    @cached_property
    def _decomposed(self) -> tuple[Floats, Floats]:
        """Eigenvalues and vectors (learnt pair, …) of the kernel with the additive part projected out."""
        additive = np.linalg.svd(self.pairs.centred[self.learnt], full_matrices=True)
        rank = int((1e-9 * additive.S[0] < additive.S).sum())
        free = additive.U[:, rank:]
        values, vectors = np.linalg.eigh(free.T @ self.kernel[self.learnt] @ free)
        return np.maximum(values, 0.0), free @ vectors

    def predicted(self, difference: Floats) -> tuple[Floats, Floats]:
        """What triples predict of each pair (row, pair) without it, and the penalty of each row (row,).

        The penalty is that of the smallest leave-one-out error, weighted as the least squares weigh, over pairs that
        chance decided on. Sizes of which all pairs are asked take the whole fit: nothing is drawn there.
        """
        values, vectors = self._decomposed
        rotated, learnt = difference[:, self.learnt] @ vectors, self.learnt
        weight = np.where(self.pairs.listed, 0.0, self.pairs.design.weight)[learnt]
        best = np.full(len(difference), np.inf)
        found, penalty = np.zeros_like(difference), np.full(len(difference), np.nan)
        if (vectors**2).sum(axis=1).min() < 1e-6:  # a pair alone determines something: it cannot be left out
            return found, penalty
        image = (self.kernel[learnt] @ vectors) * vectors
        for ridge in PENALTIES:
            shrunk = 1.0 / (values + ridge)
            coefficients = (rotated * shrunk) @ vectors.T
            own = (vectors**2) @ shrunk
            error = (coefficients / own) ** 2 @ weight
            rows = np.flatnonzero(error < best)
            best[rows], penalty[rows] = error[rows], ridge
            fitted = coefficients[rows] @ self.kernel.T
            itself = image @ shrunk
            without = fitted[:, learnt] - coefficients[rows] / own * itself
            fitted[:, learnt] = np.where(self.pairs.listed[learnt], fitted[:, learnt], without)
            found[rows] = fitted
        return found, penalty


@dataclass(frozen=True, eq=False)
class Screened:
    """The strongest triples, chosen greedily, fitted by least squares; right where few triples matter."""

    pairs: Pairs

    @cached_property
    def triples(self) -> Floats:
        """q_T of every pair, (pair, triple)."""
        signs = np.where(self.pairs.half, 1.0, -1.0)
        i, j, k = np.array(list(combinations(range(signs.shape[1]), 3))).T
        return np.asarray(signs[:, i] * signs[:, j] * signs[:, k] - (signs[:, i] + signs[:, j] + signs[:, k]) / 3)

    @cached_property
    def folds(self) -> Ints:
        """Each pair's fold; every size is spread over all."""
        order = np.argsort(self.pairs.design.stratum, kind="stable")
        folds = np.empty(len(order), dtype=np.int64)
        folds[order] = np.arange(len(order)) % FOLDS
        return folds

    def predicted(self, difference: Floats) -> tuple[Floats, Floats]:
        """What the strongest triples predict of each pair (row, pair) without its fold, and how many they are (row,).

        The count is that of the smallest error in pairs left out, weighted as the least squares weigh.
        """
        counts = self._counts()
        whole = np.zeros((len(counts), *difference.shape))
        apart = np.zeros_like(whole)
        for fold in range(FOLDS):
            for place, guess in enumerate(self._path(difference, self.folds != fold, counts)):
                whole[place] += guess / FOLDS
                apart[place][:, self.folds == fold] = guess[:, self.folds == fold]
        guesses = np.where(self.pairs.listed, whole, apart)
        weight = np.where(self.pairs.listed, 0.0, self.pairs.design.weight)
        rest = difference - guesses
        rest -= (rest @ self.pairs.lever) @ self.pairs.centred.T
        best = np.argmin((rest**2) @ weight, axis=0)
        return guesses[best, np.arange(len(difference))], np.array(counts, dtype=np.float64)[best]

    def _counts(self) -> list[int]:
        most, counts = int(len(self.pairs.half) * (FOLDS - 1) / FOLDS / 2.5), [1]
        while counts[-1] < min(most, self.triples.shape[1]):
            counts.append(max(counts[-1] + 1, round(counts[-1] * GROWTH)))
        return counts[:-1] or counts

    def _path(self, difference: Floats, learnt: Floats, counts: list[int]) -> list[Floats]:
        """Predictions (row, pair) of the first so many triples, learnt from some pairs."""
        additive = np.linalg.svd(self.pairs.centred[learnt], full_matrices=False)
        free = additive.U[:, 1e-9 * additive.S[0] < additive.S]
        features = self.triples[learnt]
        features = features - free @ (free.T @ features)
        known = difference[:, learnt] - (difference[:, learnt] @ free) @ free.T
        length = np.sqrt((features**2).sum(axis=0))
        length = np.where(length > 1e-9, length, np.inf)
        rest, chosen = known.copy(), np.zeros((len(known), 0), dtype=np.int64)
        path = []
        for count in counts:
            strength = np.abs(rest @ features) / length
            np.put_along_axis(strength, chosen, -1.0, axis=1)
            more = np.argpartition(-strength, count - chosen.shape[1] - 1, axis=1)[:, : count - chosen.shape[1]]
            chosen = np.concatenate([chosen, more], axis=1)
            guess = np.empty_like(difference)
            for row, triples in enumerate(chosen):
                block = features[:, triples]
                gram = block.T @ block
                gram[np.diag_indices_from(gram)] *= 1.0 + 1e-10
                fitted = np.linalg.solve(gram, block.T @ known[row])
                rest[row] = known[row] - block @ fitted
                guess[row] = self.triples[:, triples] @ fitted
            path.append(guess)
        return path
