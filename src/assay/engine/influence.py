# SPDX-License-Identifier: Apache-2.0
"""Gradients of a target, averaged over a distribution of points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.cases.case import Case
from assay.nouns.result import Estimate
from assay.nouns.rows import to_floats
from assay.words.errors import InputError
from assay.words.types import Array, Floats


@runtime_checkable
class Distribution(Protocol):
    """Points to take gradients at, and what each gradient is multiplied by (path derivative × weight).

    ``base(case)`` is the target the attribution starts from, ``None`` where there is none. ``draws`` is how many
    independent samples the nodes are, 0 for quadrature.
    """

    @property
    def draws(self) -> int:
        """Independent samples; 0 for quadrature."""

    def nodes(self, case: Case) -> Iterator[tuple[Array, Any]]:
        """Pairs (point (row, *shape), measure)."""

    def base(self, case: Case) -> Floats | None:
        """The target at the start."""


def influence(case: Case, over: Distribution) -> Estimate:
    """Σ measure · gradient over the nodes of a distribution, (row, *shape), summed in float64.

    Where the nodes are random draws the standard error of each part's mean comes along.
    """
    total: Array = 0.0
    mean = np.zeros((len(case), len(case.features)))
    squares = np.zeros_like(mean)
    sampled = over.draws > 1 and not case.live
    for seen, (slope, measure) in enumerate(gradients(case, over), start=1):
        term = measure * (slope.double() if is_torch_array(slope) else slope)
        total = total + term
        if sampled:  # Welford's update: equal draws leave exactly 0
            each = case.features.pool(to_floats(term)) * over.draws
            step = each - mean
            mean += step / seen
            squares += step * (each - mean)
    stderr = np.sqrt(squares / (over.draws - 1) / over.draws) if sampled else None
    return Estimate(total, stderr, None if case.live else over.base(case))


def gradients(case: Case, over: Distribution) -> Iterator[tuple[Array, Any]]:
    """The gradient at each node, with the node's measure; as many nodes at a time as fit one model batch."""
    nodes, rows = over.nodes(case), len(case)
    together = max(1, case.model.batch // rows)
    while group := list(islice(nodes, together)):
        points = [point for point, _ in group]
        joined = points[0] if len(group) == 1 else array_namespace(points[0]).concat(points)
        slopes = case.gradient(joined, np.tile(np.arange(rows), len(group)))
        for place, (_, measure) in enumerate(group):
            yield slopes[place * rows : (place + 1) * rows], measure


@dataclass(frozen=True)
class Point:
    """The input itself."""

    draws: int = 0

    def nodes(self, case: Case) -> Iterator[tuple[Array, Any]]:
        """One node of measure 1."""
        yield case.rows.x, 1.0

    def base(self, case: Case) -> Floats | None:
        """None: a gradient shares nothing out."""
        return None


@dataclass(frozen=True)
class Line:
    """The straight line from ``start`` to the input, at ``steps`` Gauss–Legendre nodes.

    ``start`` is a number, one row, or one row for each row explained.
    """

    start: Any = 0.0
    steps: int = 32
    draws: int = 0

    def nodes(self, case: Case) -> Iterator[tuple[Array, Any]]:
        """Points on the line; the measure is weight · (x − start)."""
        start = started(case, self.start)
        difference = case.rows.x - start
        for place, weight in gauss_legendre(self.steps):
            yield start + place * difference, weight * difference

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

    def nodes(self, case: Case) -> Iterator[tuple[Array, Any]]:
        """All points of all lines."""
        background = case.rows.like(self.background)
        for row in background:
            for point, measure in Line(row, self.steps).nodes(case):
                yield point, measure / len(background)

    def base(self, case: Case) -> Floats | None:
        """The mean target over the background, for each row's own label."""
        background = case.rows.like(self.background)
        values = [Line(row).base(case) for row in background]
        return np.asarray(np.mean(np.stack([v for v in values if v is not None]), axis=0))


@dataclass(frozen=True)
class Gaussian:
    """``draws`` points around the input with independent Gaussian noise of standard deviation ``sigma``.

    ``sigma`` is a number, or an array in the rows' namespace that broadcasts against them: one a row, one an element.
    """

    sigma: Any
    draws: int = 16

    def nodes(self, case: Case) -> Iterator[tuple[Array, Any]]:
        """Each row's noise follows its id."""
        for noise in noises(case, "gaussian", self.draws, lambda generator, shape: generator.standard_normal(shape)):
            yield case.rows.x + self.sigma * noise, 1.0 / self.draws

    def base(self, case: Case) -> Floats | None:
        """None: a mean gradient shares nothing out."""
        return None


@dataclass(frozen=True)
class Uniform:
    """``draws`` points spread evenly over the cube of half-width ``radius`` around the input."""

    radius: float
    draws: int = 16

    def nodes(self, case: Case) -> Iterator[tuple[Array, Any]]:
        """Each row's noise follows its id."""
        for noise in noises(case, "uniform", self.draws, lambda generator, shape: generator.uniform(-1, 1, shape)):
            yield case.rows.x + self.radius * noise, 1.0 / self.draws

    def base(self, case: Case) -> Floats | None:
        """None: a mean gradient shares nothing out."""
        return None


def gauss_legendre(steps: int) -> list[tuple[float, float]]:
    """Nodes and weights on [0, 1]; exact for polynomials up to degree 2 · steps − 1."""
    if steps < 1:
        raise InputError(f"steps={steps}; at least 1 is needed.")
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return [(float(node + 1) / 2, float(weight) / 2) for node, weight in zip(nodes, weights)]


def started(case: Case, start: Any) -> Array:
    """A start (number, one row, or a row each) as an array like the rows."""
    x = case.rows.x
    if np.ndim(start) == 0:
        if case.rows.table is not None and case.rows.table.coded.any():
            raise InputError(f"start={start!r} has no meaning for columns of text or categories.")
        return array_namespace(x).zeros_like(x) + float(start)
    shape = tuple(start.shape)
    if shape not in (case.rows.shape, (len(case), *case.rows.shape)):
        raise InputError(
            f"start has shape {shape}; needed is a number, {case.rows.shape} (one start for all rows) or "
            f"{(len(case), *case.rows.shape)} (one each)."
        )
    if len(shape) == len(case.rows.shape):
        start = start[None]
    return array_namespace(x).zeros_like(x) + case.rows.like(start)


def noises(case: Case, design: str, draws: int, law: Any) -> Iterator[Array]:
    """``draws`` noise fields like the rows; row streams follow ids, so each row's noise is its own for good."""
    if draws < 1:
        raise InputError(f"draws={draws}; at least 1 is needed.")
    x = case.rows.x
    streams = [case.seed.child(design, name).generator() for name in case.rows.ids]
    for _ in range(draws):
        noise = np.stack([law(stream, case.rows.shape) for stream in streams])
        yield (array_namespace(x).asarray(noise, dtype=x.dtype, device=x.device) if is_torch_array(x) else noise)
