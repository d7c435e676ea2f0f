# SPDX-License-Identifier: Apache-2.0
"""Projected steepest ascent: perturbs inputs within a ball to increase an objective."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError, NumericalError
from assay.basics.types import Array, Floats, Masks
from assay.engine.search.ball import Ball
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import to_numpy


@dataclass(frozen=True, eq=False)
class AscentResult:
    """Result of an ascent.

    ``x`` (row, *shape) is each row's best accepted point, the row itself where none is better; ``objective`` (row,) is
    the objective there; ``has_zero_gradient`` (row,) says where the gradient was zero at every step, so that the search
    could not move.
    """

    x: Array
    objective: Floats
    has_zero_gradient: Masks


def ascend(
    x0: Array,
    gradient: Callable[[Array], Array],
    objective: Callable[[Array], Floats],
    accept: Callable[[Array], Masks],
    ball: Ball,
    *,
    starts: Sequence[Array] = (),
    steps: int = 40,
    step: float = 0.1,
    momentum: float = 0.0,
    process: Callable[[Array], Array] | None = None,
) -> AscentResult:
    """Projected steepest ascent inside the ball around each row of ``x0``, all rows at once.

    x ← project(x + step · radius · steepest(direction)), direction ← momentum · direction + steepest(gradient(x)),
    ``steps`` times from each of ``starts`` (by default from the rows themselves). The result of a row is the point of
    highest ``objective`` among those that ``accept`` allows. ``gradient`` may be that of a smooth surrogate;
    ``objective`` and ``accept`` are evaluated on the model itself. ``step`` is a share of the radius. ``process``
    changes every point that is reached before it is evaluated (a blur, say) and must keep it within the ball.
    """
    if steps < 1 or not step > 0 or not 0 <= momentum < 1:
        raise InputError(
            f"steps={steps}, step={step}, momentum={momentum}; needed are steps ≥ 1, step > 0, 0 ≤ momentum < 1."
        )
    ball.check_bounds(x0)
    best, highest, zero = x0, objective(x0), np.ones(len(x0), dtype=bool)
    for start in starts or (x0,):
        x, direction = start, array_namespace(x0).zeros_like(x0)
        for _ in range(steps):
            slope = gradient(x)
            zero &= ~_is_nonzero(slope)
            direction = momentum * direction + ball.steepest(slope)
            x = ball.project(x + step * ball.radius * ball.steepest(direction), x0)
            x = x if process is None else process(x)
            current = objective(x)
            better = (current > highest) & accept(x)  # evaluated at every step, so that the cost is known in advance
            best, highest = _where(better, x, best), np.where(better, current, highest)
    return AscentResult(best, highest, zero)


def _is_nonzero(slope: Array) -> Masks:
    """Whether a row's gradient is nonzero, (row,); ``NumericalError`` naming rows where it is not finite."""
    flat = to_numpy(slope).reshape(len(slope), -1)
    broken = np.flatnonzero(~np.isfinite(flat).all(axis=1))
    if len(broken):
        raise NumericalError(
            f"the gradient is NaN or infinite in row(s) {list_first(broken)}, so there is no search direction. Look "
            f"for a division by zero or a logarithm of zero in the model or the explanation."
        )
    return np.asarray((flat != 0).any(axis=1))


def _where(mask: Masks, x: Array, other: Array) -> Array:
    xp = array_namespace(x)
    wide = mask.reshape((-1,) + (1,) * (x.ndim - 1))
    return xp.where(xp.asarray(wide, device=x.device) if is_torch_array(x) else wide, x, other)
