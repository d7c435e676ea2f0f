# SPDX-License-Identifier: Apache-2.0
"""Small cases with known explanations. They need no torch: their gradients are given in closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.new_case import case
from assay.model.adapters.function import function


def analytic(
    call: Callable[[Floats], Floats], gradient: Callable[[Floats], Floats], x: Any, name: str, **options: Any
) -> Case:
    """The case of a function of rows with its gradient in closed form."""
    return case(
        function(call, gradient=gradient, name=name, fingerprint=name),
        np.atleast_2d(np.asarray(x, dtype=float)),
        **options,
    )


def linear(weights: Sequence[float] = (2.0, -1.0), x: Any = None, intercept: float = 0.0, **options: Any) -> Case:
    """f(x) = w · x + c. The gradient is w; Shapley values and integrated gradients from baseline s are w · (x − s).

    >>> linear((2, -1)).output
    array([1.])
    """
    w = np.asarray(weights, dtype=float)
    rows = np.ones(len(w)) if x is None else x
    return analytic(
        lambda x: x @ w + intercept,
        lambda x: np.broadcast_to(w, x.shape),
        rows,
        f"linear {w} {intercept}",
        **options,
    )


def additive(heights: Sequence[float] = (3.0, 1.0), **options: Any) -> Case:
    """f(x) = Σ h_i x_i² at x = (1, …, 1). Shapley values and integrated gradients from baseline 0 are h."""
    h = np.asarray(heights, dtype=float)
    return analytic(lambda x: x**2 @ h, lambda x: 2 * x * h, np.ones(len(h)), f"additive {h}", **options)


def product(x: Sequence[float] = (2.0, 3.0), **options: Any) -> Case:
    """f(x) = x₁ x₂. Shapley values and integrated gradients from baseline 0 are half the product for each feature."""
    return analytic(lambda x: x[:, 0] * x[:, 1], lambda x: x[:, 1::-1], x, "product", **options)


def quadratic(matrix: Any, x: Any, **options: Any) -> Case:
    """f(x) = xᵀ A x. Shapley values and integrated gradients from baseline 0 are x ∘ (A + Aᵀ)x / 2."""
    a = np.asarray(matrix, dtype=float)
    return analytic(
        lambda x: np.einsum("ni,ij,nj->n", x, a, x),
        lambda x: x @ (a + a.T),
        x,
        f"quadratic {a.tolist()}",
        **options,
    )


def saturated(x: float = 2.0, **options: Any) -> Case:
    """f(x) = max(0, 1 − x). At x = 2 the gradient is 0, and integrated gradients from baseline 0 are −1."""
    return analytic(
        lambda x: np.maximum(0, 1 - x[:, 0]), lambda x: -(x < 1.0).astype(float), [x], "saturated", **options
    )


def unanimity(coefficients: dict[tuple[int, ...], float], parts: int, **options: Any) -> Case:
    """v(S) = Σ c_T · 1[T ⊆ S] at x = (1, …, 1), where removed features are set to 0.

    Shapley value φ_i = Σ_{T∋i} c_T/|T|; Banzhaf value Σ_{T∋i} c_T/2^(|T|−1); leave-one-out effect Σ_{T∋i} c_T.
    """

    def value(x: Floats) -> Floats:
        total = np.zeros(len(x))
        for members, c in coefficients.items():
            total += c * np.prod(x[:, list(members)], axis=1)
        return total

    def gradient(x: Floats) -> Floats:
        result = np.zeros_like(x)
        for members, c in coefficients.items():
            for i in members:
                result[:, i] += c * np.prod(x[:, [j for j in members if j != i]], axis=1)
        return result

    return analytic(value, gradient, np.ones(parts), f"unanimity {coefficients}", **options)


def random_game(parts: int, seed: int = 0, order: int = 4, rows: int = 1, **options: Any) -> tuple[Case, Floats]:
    """A random sum of unanimity games, and its exact Shapley values (row, feature)."""
    generator = np.random.default_rng(seed)
    coefficients: dict[tuple[int, ...], float] = {}
    for _ in range(6 * parts):
        size = int(generator.integers(1, min(order, parts) + 1))
        members = tuple(sorted(generator.choice(parts, size, replace=False).tolist()))
        coefficients[members] = coefficients.get(members, 0.0) + float(generator.normal())
    values = np.zeros(parts)
    for members, c in coefficients.items():
        values[list(members)] += c / len(members)
    game = unanimity(coefficients, parts, **options)
    return game, values[None]
