# SPDX-License-Identifier: Apache-2.0
"""The norm ball that limits perturbations of an input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Array, Floats
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.number_checks import is_number
from assay.nouns.inputs.rows import Rows, to_floats


@dataclass(frozen=True)
class Ball:
    """The perturbation radius: all inputs within ``radius`` of a row in ``norm``, and between ``low`` and ``high``.

    Units are those of the rows, before the model's ``preprocess``. ``low`` and ``high`` are the bounds of valid input
    values (0 and 255 for photographs); infinite by default. ``scale`` has one number ≥ 0 a column of a table (its
    standard deviation): the norm is that of the perturbation divided by it, and a column with 0 does not move.
    """

    norm: Literal["linf", "l2"]
    radius: float
    low: float = -np.inf
    high: float = np.inf
    scale: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.norm not in ("linf", "l2"):
            raise InputError(f"norm={self.norm!r}; there are 'linf' and 'l2'.")
        numbers = all(map(is_number, (self.radius, self.low, self.high)))
        if not numbers or not 0 < self.radius < np.inf or not self.low < self.high:
            raise InputError(
                f"a ball needs a finite radius > 0 and low < high; got radius={self.radius!r}, "
                f"{self.low!r} … {self.high!r}."
            )
        if self.scale and (not all(0 <= one < np.inf for one in self.scale) or not any(self.scale)):
            raise InputError("scale holds one finite number ≥ 0 a column, and not only zeros.")

    def project(self, x: Array, centre: Array) -> Array:
        """Project ``x`` onto the norm's ball around ``centre``, then clip it to the bounds.

        This is the nearest point for ``linf``, and for ``l2`` without bounds; with bounds it is a point of the ball
        near ``x``. The centre must lie within the bounds (``check_bounds``), else no point satisfies both.
        """
        xp = array_namespace(x)
        move = x - centre
        if self.scale:
            move = xp.where(self._scales(move) > 0, move, xp.zeros_like(move))
        if self.norm == "linf" and self.scale:
            largest = self.radius * self._scales(move)
            move = xp.where(move > largest, largest, xp.where(move < -largest, -largest, move))
        elif self.norm == "linf":
            move = xp.clip(move, -self.radius, self.radius)
        else:
            length = self.length(move)
            shrink = xp.where(
                length > self.radius,
                self.radius / xp.where(length > 0, length, xp.ones_like(length)),
                xp.ones_like(length),
            )
            move = move * _wide(shrink, move)
        return xp.clip(centre + move, self.low, self.high)

    def check_bounds(self, centre: Array) -> None:
        """Raise ``InputError`` naming the rows outside the bounds: they are not in the units of the ball."""
        values = to_floats(centre).reshape(len(centre), -1)
        if self.scale and len(self.scale) != values.shape[1]:
            raise InputError(f"scale has {len(self.scale)} numbers for {values.shape[1]} columns; give one a column.")
        outside = np.flatnonzero((values < self.low).any(axis=1) | (values > self.high).any(axis=1))
        if len(outside):
            raise InputError(
                f"row(s) {list_first(outside)} have values from {values[outside].min():g} to "
                f"{values[outside].max():g}, outside the ball's bounds {self.low:g} … {self.high:g}. Give radius and "
                f"bounds in the units of the rows, before preprocess."
            )

    def length(self, move: Array) -> Array:
        """The norm (row,) of each row's perturbation."""
        xp = array_namespace(move)
        if self.scale:
            scales = self._scales(move)
            safe = xp.where(scales > 0, scales, xp.ones_like(scales))
            move = xp.where(scales > 0, move / safe, xp.where(move == 0, xp.zeros_like(move), xp.inf))
        flat = xp.reshape(move, (move.shape[0], -1))
        return xp.max(xp.abs(flat), axis=1) if self.norm == "linf" else xp.sqrt(xp.sum(flat * flat, axis=1))

    def steepest(self, slope: Array) -> Array:
        """The direction of steepest ascent for this gradient: the perturbation of norm 1 that increases it most."""
        xp = array_namespace(slope)
        scales = self._scales(slope) if self.scale else 1.0
        if self.norm == "linf":
            return xp.sign(slope) * scales
        move = slope * scales * scales
        length = self.length(move)
        return move / _wide(xp.where(length > 0, length, xp.ones_like(length)), move)

    def draw(self, rows: Rows, seed: Seed, *, edge: bool = False) -> Array:
        """One random point of the ball around each row: uniform, or on its surface with ``edge``.

        The random stream of a row depends on its id. Points outside the bounds are clipped to them, and are then closer
        to the row than the surface.
        """
        self.check_bounds(rows.x)
        moves = np.stack([self._sample(rows.shape, seed.child("ball", name).generator(), edge) for name in rows.ids])
        x = rows.x
        move = array_namespace(x).asarray(moves, dtype=x.dtype, device=x.device) if is_torch_array(x) else moves
        return self.project(x + move, x)

    def _sample(self, shape: tuple[int, ...], generator: np.random.Generator, edge: bool) -> Floats:
        scales = np.array(self.scale) if self.scale else 1.0
        if self.norm == "linf":
            move = generator.choice([-1.0, 1.0], shape) if edge else generator.uniform(-1, 1, shape)
            return np.asarray(self.radius * move * scales)
        direction = generator.standard_normal(shape) * (scales != 0)
        size = int(np.count_nonzero(direction))
        share = 1.0 if edge else generator.random() ** (1 / size)
        return np.asarray(self.radius * share * direction / np.linalg.norm(direction) * scales)

    def _scales(self, like: Array) -> Array:
        """The scale of each column in the form of ``like``."""
        xp, values = array_namespace(like), np.array(self.scale)
        return xp.asarray(values, dtype=like.dtype, device=like.device) if is_torch_array(like) else values


def _wide(per_row: Array, like: Array) -> Array:
    return array_namespace(per_row).reshape(per_row, (-1,) + (1,) * (like.ndim - 1))
