# SPDX-License-Identifier: Apache-2.0
"""Non-negative factors of activations: parts, how stable they are, and what of the activations they describe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment, nnls

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats

STABLE = 0.9
"""Cosine between a part and its match of another start from which a part counts as found again."""

ITERATIONS = 1000
"""Most steps of a factorisation."""


@dataclass(frozen=True, eq=False)
class Factors:
    """Parts W ≥ 0 (part, unit) of activations A ≈ U W with U ≥ 0; with ``halves`` of [max(A, 0), max(−A, 0)].

    ``stability`` (part,) is the median cosine with the matching part of other starts (Hungarian matching), NaN without
    any. ``explained`` is the share of the variance of A around its mean that U W describes, ``shuffled`` the same where
    the values of each unit are shuffled between rows.
    """

    parts: Floats
    halves: bool
    stability: Floats
    explained: float
    shuffled: float

    @property
    def directions(self) -> Floats:
        """What one unit of each part adds to the activations (part, unit)."""
        if not self.halves:
            return self.parts
        positive, negative = np.split(self.parts, 2, axis=1)
        return np.asarray(positive - negative)

    def codes(self, activations: Floats) -> Floats:
        """U ≥ 0 (row, part) of activations (row, unit): the exact least-squares solution, each row by itself."""
        split = in_halves(activations) if self.halves else activations
        products = self.parts @ self.parts.T
        # |a − uW|² is |L(u)|² + const with the factor L of WWᵀ; a tiny ridge makes it definite
        scale = max(float(np.trace(products)) / len(products), 1e-300)
        factor = np.linalg.cholesky(products + 1e-12 * scale * np.eye(len(products)))
        right = np.linalg.solve(factor, self.parts @ split.T)
        return np.stack([nnls(factor.T, column)[0] for column in right.T])


def in_halves(activations: Floats) -> Floats:
    """[max(A, 0), max(−A, 0)], (row, 2 · unit)."""
    return np.concatenate([np.maximum(activations, 0.0), np.maximum(-activations, 0.0)], axis=1)


def find_factors(activations: Floats, count: int, halves: bool, starts: int, layer: str, seed: Seed) -> Factors:
    """Factors of activations (row, unit), by NMF from its singular vectors; further starts, at random, test them."""
    low = float(activations.min())
    if low < 0 and not halves:
        raise CapabilityError(
            f"layer {layer!r} gives activations down to {low:.3g}; parts are found in activations of at least 0. Name "
            f"a layer after a ReLU, or split them into positive and negative halves (halves=True)."
        )
    split = in_halves(activations) if halves else activations
    limit = min(split.shape)
    if not 1 <= count <= limit:
        raise InputError(
            f"concepts={count}; from {split.shape[0]} rows and positions of {split.shape[1]} units at least 1 and at "
            f"most {limit} can be found."
        )
    codes, parts = _factorise(split, count, "nndsvda", seed)
    others = [_factorise(split, count, "random", seed.child(start))[1] for start in range(starts)]
    stability = np.median([_matched(parts, other) for other in others], axis=0) if others else np.full(count, np.nan)
    mixed = np.stack([seed.child("shuffled", unit).generator().permutation(col) for unit, col in enumerate(split.T)], 1)
    shuffled = _explained(mixed, *_factorise(mixed, count, "nndsvda", seed))
    return Factors(parts, halves, np.asarray(stability), _explained(split, codes, parts), shuffled)


def _factorise(matrix: Floats, count: int, start: str, seed: Seed) -> tuple[Floats, Floats]:
    """U (row, part) and W (part, unit), each part of length 1, the largest share of the matrix first."""
    import warnings

    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    fit = NMF(count, init=start, max_iter=ITERATIONS, tol=1e-6, random_state=seed.entropy % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what is left is in the explained variance
        codes = fit.fit_transform(matrix)
    length = np.linalg.norm(fit.components_, axis=1)
    parts = fit.components_ / np.where(length > 0, length, 1.0)[:, None]
    codes = codes * length
    order = np.argsort(-np.linalg.norm(codes, axis=0), kind="stable")
    return codes[:, order], parts[order]


def _matched(parts: Floats, other: Floats) -> Floats:
    """The cosine of each part with its match among the others."""
    cosine = parts @ other.T
    rows, columns = linear_sum_assignment(-cosine)
    found = np.empty(len(parts))
    found[rows] = cosine[rows, columns]
    return found


def _explained(matrix: Floats, codes: Floats, parts: Floats) -> float:
    total = float(((matrix - matrix.mean(axis=0)) ** 2).sum())
    return 1.0 - float(((matrix - codes @ parts) ** 2).sum()) / total if total > 0 else float("nan")
