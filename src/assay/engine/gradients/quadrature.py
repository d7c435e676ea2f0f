# SPDX-License-Identifier: Apache-2.0
"""Gauss rules: nodes and weights of integrals over [0, 1]."""

from __future__ import annotations

import numpy as np

from assay.nouns.inputs.number_checks import require_count


def gauss_legendre(steps: int) -> list[tuple[float, float]]:
    """Gauss–Legendre nodes and weights on [0, 1]; exact for polynomials up to degree 2 · steps − 1."""
    require_count("steps", steps)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return [(float(node + 1) / 2, float(weight) / 2) for node, weight in zip(nodes, weights)]


def gauss_logarithm(steps: int) -> list[tuple[float, float]]:
    """Gauss nodes and weights on [0, 1] for the weight function −ln t, the density of a product of two uniform numbers.

    ∫₀¹ −ln(t) g(t) dt = ∫₀¹∫₀¹ g(αβ) dα dβ; exact for polynomials g up to degree 2 · steps − 1. Computed by the Lanczos
    iteration on a tanh-sinh rule (which handles the singularity at 0) and the eigenvalues of the Jacobi matrix
    (Golub–Welsch).
    """
    from scipy.linalg import eigh_tridiagonal

    require_count("steps", steps)
    grid = np.linspace(-4.5, 4.5, 9 * 64 * (1 + steps // 64) + 1)
    logarithm = np.log1p(np.exp(-np.pi * np.sinh(grid)))  # −ln t
    points = np.exp(-logarithm)
    jacobian = np.pi * np.cosh(grid) * points * np.exp(-np.log1p(np.exp(np.pi * np.sinh(grid))))
    basis = np.zeros((steps + 1, len(grid)))
    basis[0] = np.sqrt(logarithm * jacobian * (grid[1] - grid[0]))
    total = float(np.sum(basis[0] ** 2))
    basis[0] /= np.sqrt(total)
    diagonal, off_diagonal = np.zeros(steps), np.zeros(steps)
    for n in range(steps):
        diagonal[n] = np.sum(points * basis[n] ** 2)
        step = points * basis[n]
        for _ in range(2):  # one orthogonalisation leaves components along the earlier vectors
            step = step - basis[: n + 1].T @ (basis[: n + 1] @ step)
        off_diagonal[n] = np.linalg.norm(step)
        basis[n + 1] = step / off_diagonal[n]
    nodes, vectors = eigh_tridiagonal(diagonal, off_diagonal[:-1])
    return [(float(node), float(total * first**2)) for node, first in zip(nodes, vectors[0])]
