# SPDX-License-Identifier: Apache-2.0
"""Distributions of points at which gradients are averaged: a point, lines, noise clouds, blur paths and any path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError
from assay.basics.types import Array, Floats
from assay.cases.case import Case
from assay.engine.gradients.quadrature import gauss_legendre
from assay.nouns.inputs.frames import is_frame
from assay.nouns.inputs.input_layout import is_several_inputs
from assay.nouns.inputs.number_checks import require_count, require_number, require_numbers
from assay.nouns.inputs.rows import to_floats


@dataclass(frozen=True, eq=False)
class Node:
    """A point (row, *shape), its weight, and the path's derivative ``along`` = d point / dα (``None``: no path)."""

    point: Array
    weight: float = 1.0
    along: Array | None = None


@runtime_checkable
class Distribution(Protocol):
    """Weighted points at which gradients are averaged.

    ``base(case)`` is the target at the start of the path, ``None`` where there is no path. ``draws`` is the number of
    independent samples among the nodes, 0 for quadrature. ``count`` is the number of nodes, ``base_passes`` the number
    of forward passes per row that the base costs.
    """

    @property
    def draws(self) -> int:
        """Number of independent samples; 0 for quadrature."""

    @property
    def count(self) -> int:
        """Number of nodes: gradients per row."""

    @property
    def base_passes(self) -> int:
        """Forward passes per row that the base costs."""

    def nodes(self, case: Case) -> Iterator[Node]:
        """The weighted points."""

    def base(self, case: Case) -> Floats | None:
        """The target at the start (row,)."""


class _Path:
    """A path from a start to the input, at ``steps`` nodes."""

    steps: int

    def __post_init__(self) -> None:
        require_count("steps", self.steps, meaning="the nodes of the path")

    @property
    def count(self) -> int:
        """Gradients per row."""
        return self.steps

    @property
    def base_passes(self) -> int:
        """Forward passes for the base."""
        return 1


class _Cloud:
    """``draws`` random points around the input."""

    draws: int

    def __post_init__(self) -> None:
        require_count("draws", self.draws, meaning="the number of random points")

    @property
    def count(self) -> int:
        """Gradients per row."""
        return self.draws

    @property
    def base_passes(self) -> int:
        """Forward passes for the base."""
        return 0

    def base(self, case: Case) -> Floats | None:
        """None: a mean gradient attributes no difference of the target."""
        return None


@dataclass(frozen=True)
class Point:
    """The input itself."""

    draws: int = 0

    @property
    def count(self) -> int:
        """Gradients per row."""
        return 1

    @property
    def base_passes(self) -> int:
        """Forward passes for the base."""
        return 0

    def nodes(self, case: Case) -> Iterator[Node]:
        """One node of weight 1."""
        yield Node(case.rows.x)

    def base(self, case: Case) -> Floats | None:
        """None: a gradient attributes no difference of the target."""
        return None


@dataclass(frozen=True)
class Line(_Path):
    """The straight line from ``start`` to the input, at ``steps`` Gauss–Legendre nodes.

    ``start`` is a number, one row, or one row for each row explained; for a net of several inputs also their tuple or
    mapping.
    """

    start: Any = 0.0
    steps: int = 32
    draws: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_several_inputs(self.start):  # those are checked beside the rows
            require_numbers("start", self.start)

    def nodes(self, case: Case) -> Iterator[Node]:
        """Points on the line; the derivative by α is x − start."""
        start = broadcast_start(case, self.start)
        difference = case.rows.x - start
        for alpha, weight in gauss_legendre(self.steps):
            yield Node(start + alpha * difference, weight, difference)

    def base(self, case: Case) -> Floats | None:
        """The target at the start."""
        value: Floats = case.value(broadcast_start(case, self.start))
        return value


@dataclass(frozen=True)
class Lines:
    """The lines from every row of a background to the input, each at ``steps`` nodes, equally weighted."""

    background: Any
    steps: int = 8
    draws: int = 0

    def __post_init__(self) -> None:
        require_count("steps", self.steps, meaning="the nodes of each line")
        if not hasattr(self.background, "__len__") or isinstance(self.background, str) or not len(self.background):
            raise InputError("Lines start from the rows of a background; at least one row is needed.")

    @property
    def count(self) -> int:
        """Gradients per row."""
        return self.steps * len(self.background)

    @property
    def base_passes(self) -> int:
        """Forward passes for the base."""
        return len(self.background)

    def nodes(self, case: Case) -> Iterator[Node]:
        """All points of all lines, with equal weight per line."""
        background = case.rows.convert(self.background)
        for row in background:
            for node in Line(row, self.steps).nodes(case):
                yield replace(node, weight=node.weight / len(background))

    def base(self, case: Case) -> Floats | None:
        """The mean target over the background (row,), for each row's own label."""
        background = case.rows.convert(self.background)
        values = [Line(row).base(case) for row in background]
        return np.asarray(np.mean(np.stack([v for v in values if v is not None]), axis=0))


@dataclass(frozen=True)
class BlurPath(_Path):
    """From a blurred image to the image: Gaussian blur of σ = ``sigma`` · (1 − α)³ pixels, at ``steps`` nodes.

    Each channel is blurred with mirrored edges, for which the blur is diagonal in the cosine basis:
    z(α) = C⁻¹ exp(−σ²ω²/2) C x; so the derivative along the path is exact. σ is cubic in α because an image changes
    most while the blur is one or two pixels wide; the integral does not depend on the parametrisation.
    """

    sigma: float = 50.0
    steps: int = 32
    draws: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("sigma", self.sigma, above=0, meaning="the standard deviation of the first blur in pixels")

    def nodes(self, case: Case) -> Iterator[Node]:
        """Points on the path; the derivative is dz/dα = −dσ/dα · σ · ω² z in the cosine basis."""
        spectrum, squares, invert = self._cosine_transform(case)
        for alpha, weight in gauss_legendre(self.steps):
            sigma, rate = self.sigma * (1 - alpha) ** 3, 3 * self.sigma * (1 - alpha) ** 2  # rate = −dσ/dα
            damped = np.exp(-(sigma**2) * squares / 2) * spectrum
            yield Node(invert(damped), weight, invert(rate * sigma * squares * damped))

    def base(self, case: Case) -> Floats | None:
        """The target (row,) of the image blurred by ``sigma`` pixels."""
        spectrum, squares, invert = self._cosine_transform(case)
        value: Floats = case.value(invert(np.exp(-(self.sigma**2) * squares / 2) * spectrum))
        return value

    def _cosine_transform(self, case: Case) -> tuple[Floats, Floats, Callable[[Floats], Array]]:
        """The rows in the cosine basis, the squared frequencies in radians per pixel, and the inverse transform."""
        from scipy.fft import dctn, idctn

        if len(case.rows.shape) != 3:
            raise InputError(f"BlurPath needs images (channel, height, width); the rows have shape {case.rows.shape}.")
        height, width = case.rows.shape[1:]
        down, across = np.pi * np.arange(height) / height, np.pi * np.arange(width) / width
        spectrum = dctn(to_floats(case.rows.x), axes=(2, 3), norm="ortho")
        return (
            spectrum,
            down[:, None] ** 2 + across**2,
            lambda freq: array_like(case.rows.x, idctn(freq, axes=(2, 3), norm="ortho")),
        )


@dataclass(frozen=True, eq=False)
class Path(_Path):
    """Any path: ``at(x, α)`` gives points (row, *shape) for α from 0 to 1, ending at ``x``; ``steps`` nodes.

    Its derivative by α is a central difference of half-width ``width``, so the path should be smooth.
    """

    at: Callable[[Array, float], Array]
    steps: int = 32
    width: float = 1e-3
    draws: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("width", self.width, above=0, most=0.5, meaning="the half-width of the difference")
        if not callable(self.at):
            raise InputError(f"at={self.at!r}; a function of the rows and of a number from 0 to 1 is needed.")

    def nodes(self, case: Case) -> Iterator[Node]:
        """Points on the path; ``InputError`` unless it ends at the rows."""
        x = case.rows.x
        gap = float(np.abs(to_floats(self.at(x, 1.0)) - to_floats(x)).max())
        if gap > 1e-4 * max(1.0, float(np.abs(to_floats(x)).max())):
            raise InputError(f"the path ends {gap:.3g} away from the rows; at(x, 1) must be x.")
        for alpha, weight in gauss_legendre(self.steps):
            half_width = min(self.width, alpha, 1 - alpha)
            derivative = (self.at(x, alpha + half_width) - self.at(x, alpha - half_width)) / (2 * half_width)
            yield Node(self.at(x, alpha), weight, derivative)

    def base(self, case: Case) -> Floats | None:
        """The target at the path's start (row,)."""
        value: Floats = case.value(self.at(case.rows.x, 0.0))
        return value


@dataclass(frozen=True)
class Gaussian(_Cloud):
    """``draws`` points around the input with independent Gaussian noise of standard deviation ``sigma``.

    ``sigma`` is a number, or an array in the rows' namespace that broadcasts against them (one per row or element).
    """

    sigma: Any
    draws: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        require_numbers("sigma", self.sigma, least=0)

    def nodes(self, case: Case) -> Iterator[Node]:
        """Points with equal weights; each row's noise depends on its id and the seed."""
        for noise in draw_noise(
            case, "gaussian", self.draws, lambda generator, shape: generator.standard_normal(shape)
        ):
            yield Node(case.rows.x + self.sigma * noise, 1.0 / self.draws)


@dataclass(frozen=True)
class Uniform(_Cloud):
    """``draws`` points drawn uniformly from the cube of half-width ``radius`` around the input."""

    radius: float
    draws: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("radius", self.radius, least=0, meaning="the half-width of the cube")

    def nodes(self, case: Case) -> Iterator[Node]:
        """Points with equal weights; each row's noise depends on its id and the seed."""
        for noise in draw_noise(case, "uniform", self.draws, lambda generator, shape: generator.uniform(-1, 1, shape)):
            yield Node(case.rows.x + self.radius * noise, 1.0 / self.draws)


def broadcast_start(case: Case, start: Any) -> Array:
    """A start (a number, one token, one row, or one row each) as an array of the rows' shape.

    Elements outside all features (padding, special tokens) keep their own value: the path does not change them.
    """
    x, index = case.rows.x, case.features.index
    origin = _broadcast(case, start)
    if index.min() >= 0:
        return origin
    xp = array_namespace(x)
    fixed = xp.asarray(index < 0, device=x.device) if is_torch_array(x) else index < 0
    return xp.where(fixed, x, origin)


def _broadcast(case: Case, start: Any) -> Array:
    if is_frame(start) or (case.rows.layout is not None and is_several_inputs(start)):
        start = case.rows.convert(start)
    require_numbers("start", start)
    start = np.asarray(start, dtype=np.float64) if isinstance(start, list | tuple) else start
    x = case.rows.x
    if np.ndim(start) == 0:
        if case.rows.table is not None and case.rows.table.coded.any():
            raise InputError(f"start={start!r} has no meaning for text or categorical columns; give one row.")
        return array_namespace(x).zeros_like(x) + float(start)
    shape = tuple(start.shape)
    if len(case.rows.shape) == 2 and shape == case.rows.shape[1:]:  # one token for all positions
        return array_namespace(x).zeros_like(x) + case.rows.convert(
            np.broadcast_to(to_floats(start), (1, *case.rows.shape))
        )
    if shape not in (case.rows.shape, (1, *case.rows.shape), (len(case), *case.rows.shape)):
        raise InputError(
            f"start has shape {shape}; needed is a number, shape {case.rows.shape} (one start for all rows) or "
            f"{(len(case), *case.rows.shape)} (one per row)."
        )
    if len(shape) == len(case.rows.shape):
        start = start[None]
    return array_namespace(x).zeros_like(x) + case.rows.convert(start)


def draw_noise(case: Case, design: str, draws: int, law: Any) -> Iterator[Array]:
    """``draws`` noise arrays of the rows' shape; the random stream of a row depends only on its id and the seed.

    Elements outside all features (padding, special tokens) get no noise, so that noise does not depend on the padding.
    """
    require_count("draws", draws)
    x = case.rows.x
    streams = [case.seed.child(design, name).generator() for name in case.rows.ids]
    in_feature = np.broadcast_to(case.features.index >= 0, (len(case), *case.rows.shape))
    for _ in range(draws):
        noise = np.zeros(in_feature.shape)
        for row, where, stream in zip(noise, in_feature, streams):
            row[where] = law(stream, (int(where.sum()),))
        yield array_like(x, noise)


def array_like(x: Array, values: Any) -> Array:
    """``values`` as an array with the namespace, dtype and device of ``x``."""
    return array_namespace(x).asarray(values, dtype=x.dtype, device=x.device) if is_torch_array(x) else values
