# SPDX-License-Identifier: Apache-2.0
"""Linear interpolation of missing pixels from their neighbours: one linear system per image, solved in batches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from assay.basics.errors import NumericalError
from assay.basics.types import Floats, Masks

TOLERANCE = 3e-7
"""Preconditioned residual (an error estimate) at which an image has converged, relative to its largest value."""

MAX_ITERATIONS = 500
"""Iterations after which the solver fails; about twelve are usual."""

REDUCTION = 1e-4
"""Error reduction by float32 iterations before the residual is recomputed in float64."""

BLOCK = 1 << 16
"""Pixels per batch: enough to amortise numpy calls, few enough for the CPU cache."""

DAMPING = 0.8


def inpaint(x: Floats, missing: Masks) -> Floats:
    """Images (image, height, width) in which each missing pixel is the weighted mean of all its neighbours.

    Weights 1/6 for the four direct neighbours and 1/12 for the diagonal ones, over those inside the image (Rong et
    al. 2022). If every pixel is missing the system is singular: the pixels get the image's mean. Conjugate gradients
    with a multigrid cycle as preconditioner; the error is at most about 1e-6 of the image's largest value.
    """
    out = np.array(x, dtype=np.float64)
    empty = missing.all(axis=(1, 2))
    out[empty] = out[empty].mean(axis=(1, 2), keepdims=True)
    places = np.flatnonzero(missing.any(axis=(1, 2)) & ~empty)
    # similar masks need similar numbers of iterations
    places = places[np.argsort(missing[places].sum(axis=(1, 2)), kind="stable")]
    size = max(1, BLOCK // max(1, out.shape[1] * out.shape[2]))
    for start in range(0, len(places), size):
        block = places[start : start + size]
        missing_pixels = missing[block]
        known = np.where(missing_pixels, 0.0, out[block])
        out[block] = known + _images_first(_solve(_images_last(known), _images_last(missing_pixels)))
    return out


def _images_last(images: Any) -> Any:
    """Move the image axis last, so that pixel shifts are contiguous in memory."""
    return np.ascontiguousarray(np.moveaxis(images, 0, -1))


def _images_first(grids: Floats) -> Floats:
    return np.moveaxis(grids, -1, 0)


def _solve(known: Floats, missing_pixels: Masks) -> Floats:
    """Solve for the missing pixels (height, width, image), 0 elsewhere; ``known`` is 0 at missing pixels."""
    double, single = Grid(missing_pixels.astype(np.float64)), Grid(missing_pixels.astype(np.float32))
    tolerance = TOLERANCE * np.abs(known).max(axis=(0, 1))
    x = np.zeros(known.shape)
    right = double.missing * _neighbour_sum(known, double.scratch)
    left = np.empty(known.shape)
    for _ in range(MAX_ITERATIONS):
        r = (right - double.apply(x, left)).astype(np.float32)
        z = single.cycle(r)
        error = np.abs(z).max(axis=(0, 1))
        if (error <= tolerance).all():
            return x
        x += _conjugate_gradients(single, r, z, np.maximum(REDUCTION * error, 0.5 * tolerance))
    raise NumericalError(
        f"inpainting of images of shape {known.shape[:2]} did not converge in {MAX_ITERATIONS} iterations; use another "
        f"removal, such as Blur(10.0)."
    )


def _conjugate_gradients(grid: Grid, r: Any, z: Any, tolerance: Floats) -> Any:
    """Conjugate gradients from 0 for the right side ``r`` with preconditioned residual ``z``, down to ``tolerance``."""
    x, p, q, rz = np.zeros_like(z), z.copy(), np.empty_like(z), _dot(r, z)
    along = np.empty_like(z)
    for _ in range(MAX_ITERATIONS):
        grid.apply(p, q)
        step = _ratio(rz, _dot(p, q))
        x += np.multiply(step, p, out=along)
        r -= np.multiply(step, q, out=along)
        z = grid.cycle(r)
        if (np.abs(z, out=along).max(axis=(0, 1)) <= tolerance).all():
            break
        before, rz = rz, _dot(r, z)
        p *= _ratio(rz, before)
        p += z
    return x


@dataclass(frozen=True, eq=False)
class Grid:
    """The linear systems of images with ``missing`` pixels 1 (height, width, image), and their coarser grids.

    The precision is that of ``missing``. Scratch arrays are reused, because allocation costs more than arithmetic.
    """

    missing: Any

    @cached_property
    def scratch(self) -> tuple[Any, ...]:
        """Scratch arrays: three for ``_neighbour_sum``, two for ``cycle``, one of half height for the coarser grid."""
        height, width, images = self.missing.shape
        same = (height, width)
        shapes = ((height + 1, width), (height, width + 1), same, same, same, ((height + 1) // 2, width))
        return tuple(np.empty((*shape, images), dtype=self.missing.dtype) for shape in shapes)

    @cached_property
    def weight(self) -> Any:
        """12 × the weight (height, width, 1) of the neighbours inside, + 4 for the centre in ``_neighbour_sum``."""
        height, width, _ = self.missing.shape
        ones = Grid(np.ones((height, width, 1), dtype=self.missing.dtype))
        return np.maximum(_neighbour_sum(ones.missing, ones.scratch), 5.0)

    @cached_property
    def smoothing(self) -> Any:
        """Factor of the residual in a damped Jacobi step."""
        return self.missing * (self.missing.dtype.type(DAMPING) / (self.weight - 4.0))

    @cached_property
    def coarser(self) -> Grid | None:
        """The grid with half the resolution, a pixel missing if all its fine pixels are; ``None`` for the coarsest."""
        height, width, images = self.missing.shape
        if max(height, width) <= 4:
            return None
        down, across = height + height % 2, width + width % 2
        even = np.ones((down, across, images), dtype=self.missing.dtype)
        even[:height, :width] = self.missing
        coarse = even[::2, ::2] * even[1::2, ::2] * even[::2, 1::2] * even[1::2, 1::2]
        return Grid(coarse) if coarse.any() else None

    def apply(self, x: Any, out: Any) -> Any:
        """12 × the system matrix × ``x``, which is 0 at known pixels."""
        np.multiply(self.weight, x, out=out)
        out -= _neighbour_sum(x, self.scratch)
        out *= self.missing
        return out

    def cycle(self, r: Any) -> Any:
        """Approximate solution for the right side ``r``: smoothing, coarse-grid correction, smoothing (a V-cycle).

        The result is a scratch array that the next call overwrites.
        """
        *_, found, left, half = self.scratch
        x = np.multiply(self.smoothing, r, out=found)
        if self.coarser is not None:
            np.subtract(r, self.apply(x, left), out=left)
            height, width, _ = r.shape
            down, across = _interpolation(height, r.dtype), _interpolation(width, r.dtype)
            np.dot(down.T, left.reshape(height, -1), out=half.reshape(len(half), -1))
            right = np.matmul(across.T, half)
            right *= self.coarser.missing
            np.matmul(across, self.coarser.cycle(right), out=half)
            np.dot(down, half.reshape(len(half), -1), out=left.reshape(height, -1))
            left *= self.missing
            x += left
        np.subtract(r, self.apply(x, left), out=left)
        left *= self.smoothing
        x += left
        return x


@lru_cache(maxsize=64)
def _interpolation(size: int, dtype: Any) -> Any:
    """Linear interpolation matrix (size, ⌈size / 2⌉) from the coarser pixels of an axis."""
    coarse = (size + 1) // 2
    weights = np.zeros((size, coarse), dtype=dtype)
    for i in range(size):
        near, far = i // 2, i // 2 + (1 if i % 2 else -1)
        weights[i, near] += 0.75
        weights[i, min(max(far, 0), coarse - 1)] += 0.25
    return weights


def _neighbour_sum(x: Any, scratch: tuple[Any, ...]) -> Any:
    """Convolution with the kernel (1 2 1) along both axes of (height, width, image), as (1 1) twice; no padding.

    The result is in ``scratch``; the next call overwrites it.
    """
    down, across, rows = scratch[0], scratch[1], scratch[2]
    down[0], down[-1] = x[0], x[-1]
    np.add(x[1:], x[:-1], out=down[1:-1])
    np.add(down[1:], down[:-1], out=rows)
    across[:, 0], across[:, -1] = rows[:, 0], rows[:, -1]
    np.add(rows[:, 1:], rows[:, :-1], out=across[:, 1:-1])
    return np.add(across[:, 1:], across[:, :-1], out=rows)


def _dot(a: Any, b: Any) -> Any:
    return np.einsum("ijn,ijn->n", a, b)


def _ratio(a: Any, b: Any) -> Any:
    """a / b; 0 where b is 0 (an image solved exactly)."""
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)
