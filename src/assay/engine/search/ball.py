# SPDX-License-Identifier: Apache-2.0
"""The norm ball that limits perturbations of an input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Array, Floats
from assay.engine.search.projections import nearest_in_l0, nearest_in_l1
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.number_checks import is_number
from assay.nouns.inputs.rows import Rows, to_floats

Norm = Literal["linf", "l2", "l1", "l0"]

NORMS: dict[str, Norm] = {"linf": "linf", "l2": "l2", "l1": "l1", "l0": "l0"}
"""The norms by their names."""

CONFINING_STEPS = 20
"""How often a point that rounding puts outside the ball is moved inwards."""


@dataclass(frozen=True)
class Ball:
    """The perturbation radius: all inputs within ``radius`` of a row in ``norm``, and between ``low`` and ``high``.

    ``linf``: the largest change of an element; ``l2``: the root of the sum of squares; ``l1``: the sum of changes;
    ``l0``: the number of elements that change, which needs finite bounds.
    Units are those of the rows, before the model's ``preprocess``. ``low`` and ``high`` are the bounds of valid input
    values (0 and 255 for photographs); infinite by default. ``scale`` has one number ≥ 0 a column of a table (its
    standard deviation): the norm is that of the perturbation divided by it, and a column with 0 does not move.
    """

    norm: Norm
    radius: float
    low: float = -np.inf
    high: float = np.inf
    scale: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise InputError(f"norm={self.norm!r}; there are 'linf', 'l2', 'l1' and 'l0'.")
        numbers = all(map(is_number, (self.radius, self.low, self.high)))
        if not numbers or not 0 < self.radius < np.inf or not self.low < self.high:
            raise InputError(
                f"a ball needs a finite radius > 0 and low < high; got radius={self.radius!r}, "
                f"{self.low!r} … {self.high!r}."
            )
        if self.norm == "l0" and (self.radius < 1 or not np.isfinite([self.low, self.high]).all()):
            raise InputError(
                f"an l0 ball needs radius ≥ 1, a number of elements, and finite bounds low and high: without them an "
                f"element may change without limit. Got radius={self.radius!r}, {self.low!r} … {self.high!r}."
            )
        if self.scale and (not all(0 <= one < np.inf for one in self.scale) or not any(self.scale)):
            raise InputError("scale holds one finite number ≥ 0 a column, and not only zeros.")

    def project(self, x: Array, centre: Array, radius: Any = None) -> Array:
        """Project ``x`` onto the norm's ball around ``centre`` within the bounds.

        This is the nearest point for ``linf``, ``l1`` and ``l0``, and for ``l2`` without bounds; with bounds ``l2``
        projects onto the ball and then clips, which gives a point of both near ``x``. With a ``scale`` distances are
        those of the divided perturbation. ``radius`` (a number, or one a row) replaces that of the ball. The
        centre must lie within the bounds (``check_bounds``), else no point satisfies both.
        """
        xp = array_namespace(x)
        move, radius = x - centre, self.radius if radius is None else radius
        if self.scale:
            move = xp.where(self._scales(move) > 0, move, xp.zeros_like(move))
        per_row = radius if isinstance(radius, int | float) else _wide(radius, move)
        if self.norm == "linf":
            largest = per_row * (self._scales(move) if self.scale else xp.ones_like(move))
            move = xp.minimum(xp.maximum(move, -largest), largest)
        elif self.norm == "l2":
            length = self.length(move)
            shrink = xp.where(
                length > radius,
                radius / xp.where(length > 0, length, xp.ones_like(length)),
                xp.ones_like(length),
            )
            move = move * _wide(shrink, move)
        else:
            move = self._nearest_sparse(move, centre, radius)
        return xp.clip(centre + move, self.low, self.high)

    def _nearest_sparse(self, move: Array, centre: Array, radius: Any) -> Array:
        xp, shape = array_namespace(move), move.shape
        scales = self._scales(move) if self.scale else xp.ones_like(move)
        safe = xp.where(scales > 0, scales, xp.ones_like(scales))
        flat = [xp.reshape(part / safe, (shape[0], -1)) for part in (move, self.low - centre, self.high - centre)]
        nearest = nearest_in_l1 if self.norm == "l1" else nearest_in_l0
        return xp.reshape(nearest(flat[0], radius, flat[1], flat[2]), shape) * safe

    def confine(self, x: Array, centre: Array) -> Array:
        """``x``, moved towards ``centre`` where rounding puts it outside the radius by more than a millionth of it.

        Lengths are those of the stored numbers, computed in float64.
        """
        xp = array_namespace(x)
        start = to_floats(centre)
        for step in range(CONFINING_STEPS):
            length = np.asarray(self.length(to_floats(x) - start))
            outside = length > self.radius * (1 + 1e-6)
            if not outside.any():
                return x
            share = self.radius / np.where(outside, length, self.radius) * np.where(outside, 1 - 1e-7 * 2**step, 1.0)
            shrink = xp.asarray(share, dtype=x.dtype, device=x.device) if is_torch_array(x) else share
            x = xp.clip(centre + (x - centre) * _wide(shrink, x), self.low, self.high)
        return x

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
        if self.norm == "l0":
            return xp.sum(xp.where(flat != 0, xp.ones_like(flat), xp.zeros_like(flat)), axis=1)
        if self.norm == "l1":
            return xp.sum(xp.abs(flat), axis=1)
        return xp.max(xp.abs(flat), axis=1) if self.norm == "linf" else xp.sqrt(xp.sum(flat * flat, axis=1))

    def steepest(self, slope: Array) -> Array:
        """The direction of steepest ascent for this gradient: the perturbation of norm 1 that increases it most.

        For ``l1`` this is one element, the first of those with the largest slope; for ``l0`` there is none.
        """
        xp = array_namespace(slope)
        scales = self._scales(slope) if self.scale else 1.0
        if self.norm == "linf":
            return xp.sign(slope) * scales
        if self.norm == "l0":
            raise InputError("an l0 ball has no direction of steepest ascent: an element may change without limit.")
        if self.norm == "l1":
            flat = xp.reshape(slope * scales, (slope.shape[0], -1))
            largest = xp.argmax(xp.abs(flat), axis=1)[:, None]
            places = xp.arange(flat.shape[1], **({"device": flat.device} if is_torch_array(flat) else {}))
            single = xp.where(places[None, :] == largest, xp.sign(flat), xp.zeros_like(flat))
            return xp.reshape(single, slope.shape) * scales
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

    def sample_moves(self, shape: tuple[int, ...], count: int, seed: Seed) -> Floats:
        """``count`` random moves (move, *shape) within the norm, uniform, without regard to the bounds.

        Balls that differ only in their radius get the same moves, scaled.
        """
        stream = seed.generator()
        return np.stack([self._sample(shape, stream, edge=False) for _ in range(count)])

    def _sample(self, shape: tuple[int, ...], generator: np.random.Generator, edge: bool) -> Floats:
        scales = np.array(self.scale) if self.scale else 1.0
        if self.norm == "linf":
            move = generator.choice([-1.0, 1.0], shape) if edge else generator.uniform(-1, 1, shape)
            return np.asarray(self.radius * move * scales)
        if self.norm == "l0":
            return self._sample_few(shape, generator)
        if self.norm == "l1":
            sizes = generator.exponential(size=shape) * (np.asarray(scales) != 0)
            share = 1.0 if edge else generator.random() ** (1 / int(np.count_nonzero(sizes)))
            return np.asarray(self.radius * share * sizes / sizes.sum() * generator.choice([-1.0, 1.0], shape) * scales)
        direction = generator.standard_normal(shape) * (scales != 0)
        size = int(np.count_nonzero(direction))
        share = 1.0 if edge else generator.random() ** (1 / size)
        return np.asarray(self.radius * share * direction / np.linalg.norm(direction) * scales)

    def _sample_few(self, shape: tuple[int, ...], generator: np.random.Generator) -> Floats:
        """A move of ``radius`` elements, chosen at random, each uniform within the width of the bounds."""
        size = int(np.prod(shape))
        move, free = np.zeros(size), np.arange(size)
        if self.scale:
            free = np.flatnonzero(np.broadcast_to(np.array(self.scale), shape).ravel())
        chosen = generator.permutation(free)[: int(self.radius)]
        move[chosen] = generator.uniform(-1, 1, len(chosen)) * (self.high - self.low)
        return move.reshape(shape)

    def _scales(self, like: Array) -> Array:
        """The scale of each column in the form of ``like``."""
        xp, values = array_namespace(like), np.array(self.scale)
        return xp.asarray(values, dtype=like.dtype, device=like.device) if is_torch_array(like) else values


def _wide(per_row: Array, like: Array) -> Array:
    return array_namespace(per_row).reshape(per_row, (-1,) + (1,) * (like.ndim - 1))
