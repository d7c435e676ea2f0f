# SPDX-License-Identifier: Apache-2.0
"""Missing pixels from their neighbours: a linear system for each picture, all of them solved at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from assay.basics.errors import NumericalError
from assay.basics.types import Floats, Masks

TOLERANCE = 3e-7
"""The preconditioned residual, an estimate of the error, at which a picture is done; a share of its largest value."""

ROUNDS = 500
"""Iterations after which a system counts as unsolved; about twelve are usual."""

REDUCTION = 1e-4
"""What iterations in float32 take off the error before the residual is taken again in float64."""

BLOCK = 1 << 16
"""Pixels solved for together: many, so that numpy is not called often, few enough for the processor's cache."""

DAMPING = 0.8


def inpainted(x: Floats, missing: Masks) -> Floats:
    """Pictures (picture, height, width), each missing pixel the weighted mean of its neighbours, missing ones too.

    Weights 1/6 for the four direct neighbours and 1/12 for the diagonal ones, over those inside the picture (Rong et
    al. 2022). With every pixel missing nothing determines them: they get the picture's mean. Conjugate gradients with
    a multigrid cycle as preconditioner; the error is at most about 1e-6 of the picture's largest value.
    """
    out = np.array(x, dtype=np.float64)
    lost = missing.all(axis=(1, 2))
    out[lost] = out[lost].mean(axis=(1, 2), keepdims=True)
    places = np.flatnonzero(missing.any(axis=(1, 2)) & ~lost)
    places = places[np.argsort(missing[places].sum(axis=(1, 2)), kind="stable")]  # alike takes alike long
    size = max(1, BLOCK // max(1, out.shape[1] * out.shape[2]))
    for start in range(0, len(places), size):
        some = places[start : start + size]
        gaps = missing[some]
        known = np.where(gaps, 0.0, out[some])
        out[some] = known + _last(_solved(_first(known), _first(gaps)))
    return out


def _first(pictures: Any) -> Any:
    """The pictures' axis put last, so that a shift by a pixel moves whole runs of memory."""
    return np.ascontiguousarray(np.moveaxis(pictures, 0, -1))


def _last(grids: Floats) -> Floats:
    return np.moveaxis(grids, -1, 0)


def _solved(known: Floats, gaps: Masks) -> Floats:
    """The missing pixels (height, width, picture), 0 elsewhere; ``known`` holds 0 where pixels are missing."""
    exact, rough = Grid(gaps.astype(np.float64)), Grid(gaps.astype(np.float32))
    enough = TOLERANCE * np.abs(known).max(axis=(0, 1))
    x = np.zeros(known.shape)
    right = exact.missing * _around(known, exact.scratch)
    left = np.empty(known.shape)
    for _ in range(ROUNDS):
        r = (right - exact.apply(x, left)).astype(np.float32)
        z = rough.cycle(r)
        error = np.abs(z).max(axis=(0, 1))
        if (error <= enough).all():
            return x
        x += _corrected(rough, r, z, np.maximum(REDUCTION * error, 0.5 * enough))
    raise NumericalError(
        f"pictures of shape {known.shape[:2]} were not filled in within {ROUNDS} rounds; use another removal, such as "
        f"Blur(10.0)."
    )


def _corrected(grid: Grid, r: Any, z: Any, enough: Floats) -> Any:
    """Conjugate gradients from 0 for the right side ``r``, whose cycle is ``z``, until the next is small ``enough``."""
    x, p, q, rz = np.zeros_like(z), z.copy(), np.empty_like(z), _dot(r, z)
    along = np.empty_like(z)
    for _ in range(ROUNDS):
        grid.apply(p, q)
        step = _ratio(rz, _dot(p, q))
        x += np.multiply(step, p, out=along)
        r -= np.multiply(step, q, out=along)
        z = grid.cycle(r)
        if (np.abs(z, out=along).max(axis=(0, 1)) <= enough).all():
            break
        before, rz = rz, _dot(r, z)
        p *= _ratio(rz, before)
        p += z
    return x


@dataclass(frozen=True, eq=False)
class Grid:
    """The system of pictures whose missing pixels are 1 in ``missing`` (height, width, picture), and coarser ones.

    Numbers are as exact as ``missing`` is. Scratch arrays are kept: new ones would cost more than what fills them.
    """

    missing: Any

    @cached_property
    def scratch(self) -> tuple[Any, ...]:
        """Three for ``_around``, two for ``cycle``, and one half as high for what goes to the coarser grid."""
        height, width, pictures = self.missing.shape
        same = (height, width)
        shapes = ((height + 1, width), (height, width + 1), same, same, same, ((height + 1) // 2, width))
        return tuple(np.empty((*shape, pictures), dtype=self.missing.dtype) for shape in shapes)

    @cached_property
    def weight(self) -> Any:
        """Twelve times the weight (height, width, 1) of the neighbours inside, and 4: ``_around`` counts the centre."""
        height, width, _ = self.missing.shape
        ones = Grid(np.ones((height, width, 1), dtype=self.missing.dtype))
        return np.maximum(_around(ones.missing, ones.scratch), 5.0)

    @cached_property
    def smoothing(self) -> Any:
        """What a residual is multiplied by: damped Jacobi."""
        return self.missing * (self.missing.dtype.type(DAMPING) / (self.weight - 4.0))

    @cached_property
    def coarser(self) -> Grid | None:
        """Half as many pixels each way, missing where all of what they stand for is; None at the end."""
        height, width, pictures = self.missing.shape
        if max(height, width) <= 4:
            return None
        down, across = height + height % 2, width + width % 2
        even = np.ones((down, across, pictures), dtype=self.missing.dtype)
        even[:height, :width] = self.missing
        coarse = even[::2, ::2] * even[1::2, ::2] * even[::2, 1::2] * even[1::2, 1::2]
        return Grid(coarse) if coarse.any() else None

    def apply(self, x: Any, out: Any) -> Any:
        """The system's matrix, times 12, times ``x``, which is 0 where pixels are known."""
        np.multiply(self.weight, x, out=out)
        out -= _around(x, self.scratch)
        out *= self.missing
        return out

    def cycle(self, r: Any) -> Any:
        """About the solution for the right side ``r``: smoothed, corrected on the coarser grid, smoothed again.

        The array is the grid's own and changes with the next call.
        """
        *_, found, left, half = self.scratch
        x = np.multiply(self.smoothing, r, out=found)
        if self.coarser is not None:
            np.subtract(r, self.apply(x, left), out=left)
            height, width, _ = r.shape
            down, across = _between(height, r.dtype), _between(width, r.dtype)
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
def _between(size: int, dtype: Any) -> Any:
    """Linear interpolation (size, ⌈size / 2⌉) from the coarser pixels of an axis."""
    coarse = (size + 1) // 2
    weights = np.zeros((size, coarse), dtype=dtype)
    for i in range(size):
        near, far = i // 2, i // 2 + (1 if i % 2 else -1)
        weights[i, near] += 0.75
        weights[i, min(max(far, 0), coarse - 1)] += 0.25
    return weights


def _around(x: Any, scratch: tuple[Any, ...]) -> Any:
    """The kernel (1 2 1) both ways, as (1 1) twice each way, over (height, width, picture) and nothing outside.

    The array lies in ``scratch`` and changes with the next call.
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
    """a / b, and 0 where a picture is done to the last bit."""
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)
