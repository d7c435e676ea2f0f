# SPDX-License-Identifier: Apache-2.0
"""Distributions of points to take gradients at: a point, lines, clouds, a blur that clears, any path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError
from assay.basics.types import Array, Floats
from assay.cases.case import Case
from assay.nouns.inputs.rows import to_floats


@dataclass(frozen=True, eq=False)
class Node:
    """A point (row, *shape), its weight, and how the path moves there: d point / d α, ``None`` off any path."""

    point: Array
    weight: float = 1.0
    along: Array | None = None


@runtime_checkable
class Distribution(Protocol):
    """Weighted points to take gradients at.

    ``base(case)`` is the target the attribution starts from, ``None`` where there is none. ``draws`` is how many
    independent samples the nodes are, 0 for quadrature. ``count`` is how many nodes there are, ``starts`` how many
    forward passes a row the base costs.
    """

    @property
    def draws(self) -> int:
        """Independent samples; 0 for quadrature."""

    @property
    def count(self) -> int:
        """How many nodes there are: gradients a row."""

    @property
    def starts(self) -> int:
        """Forward passes a row that the base costs."""

    def nodes(self, case: Case) -> Iterator[Node]:
        """The points, one after another."""

    def base(self, case: Case) -> Floats | None:
        """The target at the start."""


class _Path:
    """A path at ``steps`` nodes, which begins somewhere."""

    steps: int

    @property
    def count(self) -> int:
        """Gradients a row."""
        return self.steps

    @property
    def starts(self) -> int:
        """Forward passes for the base."""
        return 1


class _Cloud:
    """``draws`` points around the input."""

    draws: int

    @property
    def count(self) -> int:
        """Gradients a row."""
        return self.draws

    @property
    def starts(self) -> int:
        """Forward passes for the base."""
        return 0

    def base(self, case: Case) -> Floats | None:
        """None: a mean gradient shares nothing out."""
        return None


@dataclass(frozen=True)
class Point:
    """The input itself."""

    draws: int = 0

    @property
    def count(self) -> int:
        """Gradients a row."""
        return 1

    @property
    def starts(self) -> int:
        """Forward passes for the base."""
        return 0

    def nodes(self, case: Case) -> Iterator[Node]:
        """One node of weight 1."""
        yield Node(case.rows.x)

    def base(self, case: Case) -> Floats | None:
        """None: a gradient shares nothing out."""
        return None


@dataclass(frozen=True)
class Line(_Path):
    """The straight line from ``start`` to the input, at ``steps`` Gauss–Legendre nodes.

    ``start`` is a number, one row, or one row for each row explained.
    """

    start: Any = 0.0
    steps: int = 32
    draws: int = 0

    def nodes(self, case: Case) -> Iterator[Node]:
        """Points on the line, which moves by x − start."""
        start = started(case, self.start)
        difference = case.rows.x - start
        for place, weight in gauss_legendre(self.steps):
            yield Node(start + place * difference, weight, difference)

    def base(self, case: Case) -> Floats | None:
        """The target at the start."""
        value: Floats = case.value(started(case, self.start))
        return value


@dataclass(frozen=True)
class Lines:
    """The lines from every row of a background to the input, each at ``steps`` nodes, equally weighted."""

    background: Any
    steps: int = 8
    draws: int = 0

    @property
    def count(self) -> int:
        """Gradients a row."""
        return self.steps * len(self.background)

    @property
    def starts(self) -> int:
        """Forward passes for the base."""
        return len(self.background)

    def nodes(self, case: Case) -> Iterator[Node]:
        """All points of all lines."""
        background = case.rows.like(self.background)
        for row in background:
            for node in Line(row, self.steps).nodes(case):
                yield replace(node, weight=node.weight / len(background))

    def base(self, case: Case) -> Floats | None:
        """The mean target over the background, for each row's own label."""
        background = case.rows.like(self.background)
        values = [Line(row).base(case) for row in background]
        return np.asarray(np.mean(np.stack([v for v in values if v is not None]), axis=0))


@dataclass(frozen=True)
class BlurPath(_Path):
    """A picture that clears: Gaussian blur of standard deviation σ = ``sigma`` · (1 − α)³ pixels, at ``steps`` nodes.

    The blur works on each channel with mirrored edges, where it is diagonal in the cosine basis:
    z(α) = C⁻¹ exp(−σ²ω²/2) C x; so its derivative along the path is exact. The pace is cubic because a picture changes
    most while the blur is a pixel or two wide; the integral does not depend on it.
    """

    sigma: float = 50.0
    steps: int = 32
    draws: int = 0

    def nodes(self, case: Case) -> Iterator[Node]:
        """Points on the path, which moves by dz/dα = −dσ/dα · σ · ω² z in the cosine basis."""
        spectrum, squares, back = self._cosines(case)
        for place, weight in gauss_legendre(self.steps):
            sigma, pace = self.sigma * (1 - place) ** 3, 3 * self.sigma * (1 - place) ** 2
            faded = np.exp(-(sigma**2) * squares / 2) * spectrum
            yield Node(back(faded), weight, back(pace * sigma * squares * faded))

    def base(self, case: Case) -> Floats | None:
        """The target of the picture at its most blurred."""
        spectrum, squares, back = self._cosines(case)
        value: Floats = case.value(back(np.exp(-(self.sigma**2) * squares / 2) * spectrum))
        return value

    def _cosines(self, case: Case) -> tuple[Floats, Floats, Callable[[Floats], Array]]:
        """The rows in the cosine basis, squared frequencies in radians a pixel, and the way back."""
        from scipy.fft import dctn, idctn

        if len(case.rows.shape) != 3:
            raise InputError(f"BlurPath needs images (channel, height, width); the rows have shape {case.rows.shape}.")
        if self.sigma <= 0:
            raise InputError(f"sigma={self.sigma}; a width in pixels above 0 is needed.")
        height, width = case.rows.shape[1:]
        down, across = np.pi * np.arange(height) / height, np.pi * np.arange(width) / width
        spectrum = dctn(to_floats(case.rows.x), axes=(2, 3), norm="ortho")
        return (
            spectrum,
            down[:, None] ** 2 + across**2,
            lambda freq: like(case.rows.x, idctn(freq, axes=(2, 3), norm="ortho")),
        )


@dataclass(frozen=True, eq=False)
class Path(_Path):
    """Any path: ``at(x, α)`` gives points (row, *shape) for α from 0 to 1, ending at ``x``; ``steps`` nodes.

    Its derivative by α is a central difference of half-width ``width``, so the path should bend smoothly.
    """

    at: Callable[[Array, float], Array]
    steps: int = 32
    width: float = 1e-3
    draws: int = 0

    def nodes(self, case: Case) -> Iterator[Node]:
        """Points on the path, refused unless it ends at the rows."""
        x = case.rows.x
        gap = float(np.abs(to_floats(self.at(x, 1.0)) - to_floats(x)).max())
        if gap > 1e-4 * max(1.0, float(np.abs(to_floats(x)).max())):
            raise InputError(f"the path ends {gap:.3g} away from the rows; at(x, 1) must be x.")
        for place, weight in gauss_legendre(self.steps):
            reach = min(self.width, place, 1 - place)
            moved = (self.at(x, place + reach) - self.at(x, place - reach)) / (2 * reach)
            yield Node(self.at(x, place), weight, moved)

    def base(self, case: Case) -> Floats | None:
        """The target at the path's start."""
        value: Floats = case.value(self.at(case.rows.x, 0.0))
        return value


@dataclass(frozen=True)
class Gaussian(_Cloud):
    """``draws`` points around the input with independent Gaussian noise of standard deviation ``sigma``.

    ``sigma`` is a number, or an array in the rows' namespace that broadcasts against them: one a row, one an element.
    """

    sigma: Any
    draws: int = 16

    def nodes(self, case: Case) -> Iterator[Node]:
        """Each row's noise follows its id."""
        for noise in noises(case, "gaussian", self.draws, lambda generator, shape: generator.standard_normal(shape)):
            yield Node(case.rows.x + self.sigma * noise, 1.0 / self.draws)


@dataclass(frozen=True)
class Uniform(_Cloud):
    """``draws`` points spread evenly over the cube of half-width ``radius`` around the input."""

    radius: float
    draws: int = 16

    def nodes(self, case: Case) -> Iterator[Node]:
        """Each row's noise follows its id."""
        for noise in noises(case, "uniform", self.draws, lambda generator, shape: generator.uniform(-1, 1, shape)):
            yield Node(case.rows.x + self.radius * noise, 1.0 / self.draws)


def gauss_legendre(steps: int) -> list[tuple[float, float]]:
    """Nodes and weights on [0, 1]; exact for polynomials up to degree 2 · steps − 1."""
    if steps < 1:
        raise InputError(f"steps={steps}; at least 1 is needed.")
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return [(float(node + 1) / 2, float(weight) / 2) for node, weight in zip(nodes, weights)]


def gauss_logarithm(steps: int) -> list[tuple[float, float]]:
    """Nodes and weights on [0, 1] for the weight −ln t, the density of a product of two uniform numbers.

    ∫₀¹ −ln(t) g(t) dt = ∫₀¹∫₀¹ g(αβ) dα dβ; exact for polynomials g up to degree 2 · steps − 1. Lanczos on the points
    of a tanh-sinh rule, which takes the singularity at 0, then the eigenvalues of the Jacobi matrix (Golub–Welsch).
    """
    from scipy.linalg import eigh_tridiagonal

    if steps < 1:
        raise InputError(f"steps={steps}; at least 1 is needed.")
    grid = np.linspace(-4.5, 4.5, 9 * 64 * (1 + steps // 64) + 1)
    logarithm = np.log1p(np.exp(-np.pi * np.sinh(grid)))  # −ln t
    points = np.exp(-logarithm)
    pace = np.pi * np.cosh(grid) * points * np.exp(-np.log1p(np.exp(np.pi * np.sinh(grid))))
    basis = np.zeros((steps + 1, len(grid)))
    basis[0] = np.sqrt(logarithm * pace * (grid[1] - grid[0]))
    total = float(np.sum(basis[0] ** 2))
    basis[0] /= np.sqrt(total)
    diagonal, beside = np.zeros(steps), np.zeros(steps)
    for n in range(steps):
        diagonal[n] = np.sum(points * basis[n] ** 2)
        step = points * basis[n]
        for _ in range(2):  # once leaves traces of the earlier vectors
            step = step - basis[: n + 1].T @ (basis[: n + 1] @ step)
        beside[n] = np.linalg.norm(step)
        basis[n + 1] = step / beside[n]
    nodes, vectors = eigh_tridiagonal(diagonal, beside[:-1])
    return [(float(node), float(total * first**2)) for node, first in zip(nodes, vectors[0])]


def started(case: Case, start: Any) -> Array:
    """A start (number, one token, one row, or a row each) as an array like the rows.

    Elements of no part (padding, special tokens) keep their own value: they are on no path.
    """
    x, index = case.rows.x, case.features.index
    other = _start(case, start)
    if index.min() >= 0:
        return other
    xp = array_namespace(x)
    held = xp.asarray(index < 0, device=x.device) if is_torch_array(x) else index < 0
    return xp.where(held, x, other)


def _start(case: Case, start: Any) -> Array:
    x = case.rows.x
    if np.ndim(start) == 0:
        if case.rows.table is not None and case.rows.table.coded.any():
            raise InputError(f"start={start!r} has no meaning for columns of text or categories.")
        return array_namespace(x).zeros_like(x) + float(start)
    shape = tuple(start.shape)
    if len(case.rows.shape) == 2 and shape == case.rows.shape[1:]:  # one token for all
        return array_namespace(x).zeros_like(x) + case.rows.like(
            np.broadcast_to(to_floats(start), (1, *case.rows.shape))
        )
    if shape not in (case.rows.shape, (len(case), *case.rows.shape)):
        raise InputError(
            f"start has shape {shape}; needed is a number, {case.rows.shape} (one start for all rows) or "
            f"{(len(case), *case.rows.shape)} (one each)."
        )
    if len(shape) == len(case.rows.shape):
        start = start[None]
    return array_namespace(x).zeros_like(x) + case.rows.like(start)


def noises(case: Case, design: str, draws: int, law: Any) -> Iterator[Array]:
    """``draws`` noise fields like the rows; row streams follow ids, so each row's noise is its own for good.

    Elements of no part (padding, special tokens) get none, so that noise does not depend on how far a row is padded.
    """
    if draws < 1:
        raise InputError(f"draws={draws}; at least 1 is needed.")
    x = case.rows.x
    streams = [case.seed.child(design, name).generator() for name in case.rows.ids]
    moved = np.broadcast_to(case.features.index >= 0, (len(case), *case.rows.shape))
    for _ in range(draws):
        noise = np.zeros(moved.shape)
        for row, where, stream in zip(noise, moved, streams):
            row[where] = law(stream, (int(where.sum()),))
        yield like(x, noise)


def like(x: Array, values: Any) -> Array:
    """Numbers as an array of the kind, type and place of ``x``."""
    return array_namespace(x).asarray(values, dtype=x.dtype, device=x.device) if is_torch_array(x) else values
