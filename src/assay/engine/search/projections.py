# SPDX-License-Identifier: Apache-2.0
"""Nearest points of ℓ1 and ℓ0 balls inside a box, exact, for all rows at once."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from assay.basics.types import Array


def nearest_in_l1(move: Array, radius: Any, least: Array, most: Array) -> Array:
    """The Euclidean nearest move (row, n) with Σ|move| ≤ ``radius`` between ``least`` ≤ 0 and ``most`` ≥ 0.

    It is sign(d) · clip(|d| − λ, 0, cap): Σ falls in λ and is linear between |d| and |d| − cap, so that λ follows from
    sorting these 2n numbers. ``radius`` is a number, or one a row.
    """
    xp = array_namespace(move)
    size = xp.abs(move)
    cap = xp.where(move > 0, most, -least)
    if not isinstance(radius, int | float):
        radius = radius[:, None]
    capped = xp.minimum(size, cap)
    cap = xp.where(xp.isfinite(cap), xp.minimum(cap, size), size)  # a cap above |d| never binds
    starts = xp.concat([size, size - cap], axis=1)  # below the first a component grows, below the second it is full
    change = xp.concat([xp.ones_like(size), -xp.ones_like(size)], axis=1)
    order = xp.argsort(-starts, axis=1)
    level = xp.take_along_axis(starts, order, axis=1)
    growing = xp.cumulative_sum(xp.take_along_axis(change, order, axis=1), axis=1)
    steps = xp.concat([level[:, :1] * 0, growing[:, :-1] * (level[:, :-1] - level[:, 1:])], axis=1)
    total = xp.cumulative_sum(steps, axis=1)
    reached = total >= radius
    first = xp.argmax(xp.astype(reached, xp.int64), axis=1)[:, None]
    before = xp.clip(first - 1, 0, None)
    slope = xp.take_along_axis(growing, before, axis=1)
    missing = radius - xp.take_along_axis(total, before, axis=1)
    cut = xp.take_along_axis(level, before, axis=1) - missing / xp.where(slope > 0, slope, xp.ones_like(slope))
    cut = xp.clip(cut, 0, None)
    inside = xp.sum(capped, axis=1)[:, None] <= radius
    shrunk = xp.minimum(xp.clip(size - cut, 0, None), cap)
    return xp.sign(move) * xp.where(inside, capped, shrunk)


def nearest_in_l0(move: Array, radius: Any, least: Array, most: Array) -> Array:
    """The nearest move (row, n) with at most ``radius`` components that are not 0, between ``least`` and ``most``.

    Those components stay whose removal would increase the squared distance most; the first of equal ones.
    """
    xp = array_namespace(move)
    inside = xp.minimum(xp.maximum(move, least), most)
    gain = move * move - (move - inside) ** 2
    order = xp.argsort(-gain, axis=1, stable=True)
    rank = xp.argsort(order, axis=1, stable=True)
    count = radius if isinstance(radius, int | float) else radius[:, None]
    return xp.where(rank < count, inside, xp.zeros_like(inside))
