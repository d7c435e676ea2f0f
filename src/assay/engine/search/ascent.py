# SPDX-License-Identifier: Apache-2.0
"""Moving inputs inside a ball so that an objective rises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError, NumericalError
from assay.basics.types import Array, Floats, Masks
from assay.engine.search.ball import Ball
from assay.nouns.inputs.frames import some
from assay.nouns.inputs.rows import to_numpy


@dataclass(frozen=True, eq=False)
class Climb:
    """Where an ascent ended.

    ``x`` (row, *shape) is each row's best feasible point, the row itself where none was better; ``height`` (row,) its
    objective; ``flat`` (row,) says whose slope was zero at every step, so that nothing was searched there.
    """

    x: Array
    height: Floats
    flat: Masks


def ascend(
    x0: Array,
    slope: Callable[[Array], Array],
    objective: Callable[[Array], Floats],
    accept: Callable[[Array], Masks],
    ball: Ball,
    *,
    starts: Sequence[Array] = (),
    steps: int = 40,
    step: float = 0.1,
    momentum: float = 0.0,
) -> Climb:
    """Projected steepest ascent inside the ball around each row of ``x0``, all rows at once.

    x ← project(x + step · radius · steepest(heading)), heading ← momentum · heading + steepest(slope(x)), ``steps``
    times from each of ``starts`` (by default from the rows themselves). Each row keeps the highest point it met that
    ``accept`` allows. ``slope`` may belong to a smoother stand-in; ``objective`` and ``accept`` judge the real thing.
    ``step`` is a share of the radius.
    """
    if steps < 1 or not step > 0 or not 0 <= momentum < 1:
        raise InputError(
            f"steps={steps}, step={step}, momentum={momentum}; needed are steps ≥ 1, step > 0, 0 ≤ momentum < 1."
        )
    ball.fit(x0)
    best, height, flat = x0, objective(x0), np.ones(len(x0), dtype=bool)
    for start in starts or (x0,):
        x, heading = start, array_namespace(x0).zeros_like(x0)
        for _ in range(steps):
            rise = slope(x)
            flat &= ~_moving(rise)
            heading = momentum * heading + ball.steepest(rise)
            x = ball.project(x + step * ball.radius * ball.steepest(heading), x0)
            reached = objective(x)
            better = (reached > height) & accept(x)  # asked whether needed or not: the price of a search is known
            best, height = _where(better, x, best), np.where(better, reached, height)
    return Climb(best, height, flat)


def _moving(rise: Array) -> Masks:
    flat = to_numpy(rise).reshape(len(rise), -1)
    broken = np.flatnonzero(~np.isfinite(flat).all(axis=1))
    if len(broken):
        raise NumericalError(
            f"the slope is NaN or infinite in row(s) {some(broken)}, so there is no direction to search. Look for a "
            f"division by zero or a logarithm of zero in the model or the explanation."
        )
    return np.asarray((flat != 0).any(axis=1))


def _where(mask: Masks, x: Array, other: Array) -> Array:
    xp = array_namespace(x)
    wide = mask.reshape((-1,) + (1,) * (x.ndim - 1))
    return xp.where(xp.asarray(wide, device=x.device) if is_torch_array(x) else wide, x, other)
