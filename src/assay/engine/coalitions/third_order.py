# SPDX-License-Identifier: Apache-2.0
"""Third-order regression adjustment: products of three parts that predict part of a game's odd component.

Shapley values depend only on v(S) − v(S^c). In signs x = ±1 (present, absent) this is a sum of products of one, three,
five … parts. With q_T = x_i x_j x_k − (x_i + x_j + x_k)/3, whose Shapley values are 0, v(S) − v(S^c) = Σ φ_i x_i +
Σ b_T q_T + … : subtracting an estimate of the second sum before the least squares reduces the sampling variance. The
prediction for a pair comes from a fit without that pair (cross-fitting), so that standard errors remain valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from assay.basics.types import Floats, Ints
from assay.engine.coalitions.estimator import as_bytes
from assay.engine.coalitions.leverage import PairRegression

PENALTIES = 10.0 ** np.arange(-3.0, 2.1, 0.5)
"""Candidate ridge penalties, in units of a pair's mean squared length."""
MAX_TRAINING_PAIRS = 2048
"""The most pairs that a ridge fit is trained on; it predicts all pairs."""
MAX_TRIPLES = 10_000
"""The most triples that are enumerated and screened (39 parts)."""
FOLDS = 5
GROWTH = 1.4
"""The factor by which the number of triples grows from one screening step to the next."""


def is_applicable(pairs: PairRegression) -> bool:
    """Whether third-order fits are defined: distinct pairs, two residual degrees of freedom, a sampled size."""
    if pairs.degrees_of_freedom < 2 or pairs.is_exhausted.all():
        return False
    return len(np.unique(as_bytes(np.concatenate([pairs.half, ~pairs.half])))) == 2 * len(pairs.half)


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """Kernel ridge regression on all triples; the additive part is not penalised, one decomposition serves all rows."""

    pairs: PairRegression

    @cached_property
    def training_pairs(self) -> Ints:
        """Indices of the training pairs, spread evenly over the sizes."""
        count = len(self.pairs.half)
        return np.unique(np.linspace(0, count - 1, min(count, MAX_TRAINING_PAIRS)).round().astype(np.int64))

    @cached_property
    def kernel(self) -> Floats:
        """Σ_T q_T(S) q_T(R) for every pair S and every training pair R, divided by its mean at S = R."""
        parts = self.pairs.half.shape[1]
        one = np.where(self.pairs.half, 1.0, -1.0)
        other = one[self.training_pairs]
        inner, a, b = one @ other.T, one.sum(axis=1), other.sum(axis=1)
        products = (inner**3 - 3 * inner * parts + 2 * inner) / 6  # Σ_T χ_T(S) χ_T(R)
        # Σ_{j<k, both ≠ i} x_j x_k, multiplied by the other pair's signs and summed: Σ_T χ_T(S) Σ_{i∈T} x_i(R)
        mixed = (one * (((a[:, None] - one) ** 2 - (parts - 1)) / 2)) @ other.T
        mixed += one @ (other * (((b[:, None] - other) ** 2 - (parts - 1)) / 2)).T
        linear = (parts - 1) * (parts - 2) / 2 * inner + (parts - 2) * (np.outer(a, b) - inner)
        kernel = products - mixed / 3 + linear / 9
        scale = kernel[self.training_pairs, np.arange(len(self.training_pairs))].mean()
        return np.asarray(kernel / (scale if scale > 0 else 1.0))

    @cached_property
    def _eigendecomposition(self) -> tuple[Floats, Floats]:
        """Eigenvalues and eigenvectors (training pair, …) of the kernel, with the additive part projected out."""
        additive = np.linalg.svd(self.pairs.centred[self.training_pairs], full_matrices=True)
        rank = int((1e-9 * additive.S[0] < additive.S).sum())
        free = additive.U[:, rank:]
        values, vectors = np.linalg.eigh(free.T @ self.kernel[self.training_pairs] @ free)
        return np.maximum(values, 0.0), free @ vectors

    def predict(self, difference: Floats) -> tuple[Floats, Floats]:
        """Leave-one-out predictions of each pair (row, pair), and the penalty of each row (row,).

        The penalty minimises the leave-one-out error with the weights of the least squares, over pairs of sizes that
        are sampled. Pairs of exhausted sizes, which have no sampling error, are predicted by the full fit.
        """
        values, vectors = self._eigendecomposition
        rotated, training_pairs = difference[:, self.training_pairs] @ vectors, self.training_pairs
        weight = np.where(self.pairs.is_exhausted, 0.0, self.pairs.design.weight)[training_pairs]
        best = np.full(len(difference), np.inf)
        prediction, penalty = np.zeros_like(difference), np.full(len(difference), np.nan)
        if (vectors**2).sum(axis=1).min() < 1e-6:  # without this pair a coefficient is not determined
            return prediction, penalty
        image = (self.kernel[training_pairs] @ vectors) * vectors
        for ridge in PENALTIES:
            shrunk = 1.0 / (values + ridge)
            coefficients = (rotated * shrunk) @ vectors.T
            own = (vectors**2) @ shrunk
            error = (coefficients / own) ** 2 @ weight
            rows = np.flatnonzero(error < best)
            best[rows], penalty[rows] = error[rows], ridge
            fitted = coefficients[rows] @ self.kernel.T
            itself = image @ shrunk
            without = fitted[:, training_pairs] - coefficients[rows] / own * itself
            fitted[:, training_pairs] = np.where(
                self.pairs.is_exhausted[training_pairs], fitted[:, training_pairs], without
            )
            prediction[rows] = fitted
        return prediction, penalty


@dataclass(frozen=True, eq=False)
class ScreenedFit:
    """Least squares on the strongest triples, selected greedily; accurate where few triples matter."""

    pairs: PairRegression

    @cached_property
    def triples(self) -> Floats:
        """q_T of every pair, (pair, triple)."""
        signs = np.where(self.pairs.half, 1.0, -1.0)
        i, j, k = np.array(list(combinations(range(signs.shape[1]), 3))).T
        return np.asarray(signs[:, i] * signs[:, j] * signs[:, k] - (signs[:, i] + signs[:, j] + signs[:, k]) / 3)

    @cached_property
    def folds(self) -> Ints:
        """The fold of each pair; pairs of each size are spread over all folds."""
        order = np.argsort(self.pairs.design.stratum, kind="stable")
        folds = np.empty(len(order), dtype=np.int64)
        folds[order] = np.arange(len(order)) % FOLDS
        return folds

    def predict(self, difference: Floats) -> tuple[Floats, Floats]:
        """Out-of-fold predictions of each pair (row, pair) by the strongest triples, and their number (row,).

        The number minimises the out-of-fold error with the weights of the least squares.
        """
        counts = self._counts()
        whole = np.zeros((len(counts), *difference.shape))
        out_of_fold = np.zeros_like(whole)
        for fold in range(FOLDS):
            for step, prediction in enumerate(self._path(difference, self.folds != fold, counts)):
                whole[step] += prediction / FOLDS
                out_of_fold[step][:, self.folds == fold] = prediction[:, self.folds == fold]
        predictions = np.where(self.pairs.is_exhausted, whole, out_of_fold)
        weight = np.where(self.pairs.is_exhausted, 0.0, self.pairs.design.weight)
        residual = difference - predictions
        residual -= (residual @ self.pairs.pseudo_inverse) @ self.pairs.centred.T
        best = np.argmin((residual**2) @ weight, axis=0)
        return predictions[best, np.arange(len(difference))], np.array(counts, dtype=np.float64)[best]

    def _counts(self) -> list[int]:
        most, counts = int(len(self.pairs.half) * (FOLDS - 1) / FOLDS / 2.5), [1]
        while counts[-1] < min(most, self.triples.shape[1]):
            counts.append(max(counts[-1] + 1, round(counts[-1] * GROWTH)))
        return counts[:-1] or counts

    def _path(self, difference: Floats, training_pairs: Floats, counts: list[int]) -> list[Floats]:
        """Predictions (row, pair) by the first ``counts`` triples, fitted to the training pairs."""
        additive = np.linalg.svd(self.pairs.centred[training_pairs], full_matrices=False)
        free = additive.U[:, 1e-9 * additive.S[0] < additive.S]
        features = self.triples[training_pairs]
        features = features - free @ (free.T @ features)
        targets = difference[:, training_pairs] - (difference[:, training_pairs] @ free) @ free.T
        length = np.sqrt((features**2).sum(axis=0))
        length = np.where(length > 1e-9, length, np.inf)
        residual, chosen = targets.copy(), np.zeros((len(targets), 0), dtype=np.int64)
        path = []
        for count in counts:
            strength = np.abs(residual @ features) / length
            np.put_along_axis(strength, chosen, -1.0, axis=1)
            more = np.argpartition(-strength, count - chosen.shape[1] - 1, axis=1)[:, : count - chosen.shape[1]]
            chosen = np.concatenate([chosen, more], axis=1)
            prediction = np.empty_like(difference)
            for row, triples in enumerate(chosen):
                block = features[:, triples]
                gram = block.T @ block
                gram[np.diag_indices_from(gram)] *= 1.0 + 1e-10
                fitted = np.linalg.solve(gram, block.T @ targets[row])
                residual[row] = targets[row] - block @ fitted
                prediction[row] = self.triples[:, triples] @ fitted
            path.append(prediction)
        return path
