# SPDX-License-Identifier: Apache-2.0
"""Linear models fitted to the target at points around each row of a table of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.capabilities import NEEDS
from assay.engine.coalitions.local_regression import fit_linear, is_determined
from assay.engine.gradients.distributions import array_like
from assay.engine.search.ball import Ball
from assay.nouns.inputs.number_checks import require_count
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate

LEAST = 2
"""Points beyond the columns that a fit needs: an intercept, and one for the error."""


def fit_local_slopes(case: Case, ball: Ball, budget: int, width: float = math.inf, ridge: float = 0.0) -> Estimate:
    """The coefficients (row, column) of linear models of the target at points of ``ball`` around each row.

    Minimises Σ_z exp(−d(z)²/width²) (f(z) − b − φ·u)² + ridge · |φ|² over ``budget`` points z, uniform in the ball, the
    same moves for all rows; u = (z − x) / scale, and d² is the mean of u² over the columns that move. φ is the slope
    times the scale of the column; NaN for a column that does not move. The base is undefined; ``extra["intercept"]`` is
    the fit's value at the row. Bounds of the ball clip the points. ``CapabilityError`` unless the rows are a table of
    numbers, ``InputError`` where the points do not determine the coefficients.
    """
    require_numeric_table(case)
    require_count("budget", budget, meaning="the points around each row")
    if width <= 0 or ridge < 0:
        raise InputError(f"width={width}, ridge={ridge}; width must be above 0 and ridge at least 0.")
    ball.check_bounds(case.rows.x)
    scale = np.array(ball.scale or np.ones(case.rows.shape))
    moving = scale > 0
    count = int(moving.sum())
    if budget < count + LEAST:
        raise InputError(
            f"budget={budget} points for {count} slopes and an intercept; at least {count + LEAST} are needed, and "
            f"several times as many are better."
        )
    moves = ball.sample_moves(case.rows.shape, budget, case.seed.child("local slopes"))
    fits = []
    for row in range(len(case)):
        centre = case.rows.x[row : row + 1]
        points = ball.project(centre + array_like(case.rows.x, moves), centre)
        units = (to_floats(points) - to_floats(centre))[:, moving] / scale[moving]
        distance = (units**2).mean(axis=1)
        weight = np.exp(-distance / width**2)
        if not is_determined(units, weight):
            raise InputError(
                f"budget={budget}, width={width:g}: the points near row {case.rows.ids[row]} with non-negligible "
                f"weight do not determine {count} slopes. Raise budget or width."
            )
        values = case.value(points, np.full(budget, row))[None]
        values = np.where(np.isfinite(values).all(), values, np.nan)
        fits.append(fit_linear(units, weight, values, ridge, sampled=True))
    slopes, errors = np.full((2, len(case), len(scale)), np.nan)
    slopes[:, moving] = np.concatenate([fit.values for fit in fits])
    errors[:, moving] = np.concatenate([fit.stderr for fit in fits if fit.stderr is not None])
    extra = {name: np.concatenate([fit.extra[name] for fit in fits]) for name in fits[0].extra}
    extra["intercept"] = np.concatenate([fit.base for fit in fits if fit.base is not None])
    return Estimate(slopes, case.features.pool(errors) if case.features.elementwise else None, extra=extra)


def require_numeric_table(case: Case) -> None:
    """Raise ``CapabilityError`` unless points around a row make sense: a table of numbers, without missing cells."""
    for need in ("table", "numbers", "complete"):
        has, message = NEEDS[need]
        if not has(case):
            text = message.format(name=case.model.name, shape=case.rows.shape, case=case)
            raise CapabilityError(f"a neighbourhood of points {text} Leave neighbourhood out to fit on masks.")


def has_tangent(case: Case) -> bool:
    """Whether the target has a gradient at the rows."""
    model = case.model
    closed = model.closed_form_gradient is None or case.target.name == "value"
    return model.has_gradient and not case.takes_ids and case.target.smooth and closed


def fits_at_widths(case: Case, ball: Ball, widths: Sequence[float], budget: int) -> list[Estimate]:
    """One fit for each multiple of the ball's radius, unweighted, with the same moves scaled."""
    if not widths or not all(0 < one < math.inf for one in widths) or list(widths) != sorted(set(widths)):
        raise InputError(f"widths={tuple(widths)}; rising multiples of the ball's radius, above 0, are needed.")
    return [fit_local_slopes(case, replace(ball, radius=ball.radius * one), budget) for one in widths]


def tangent_of(case: Case, ball: Ball, fits: Sequence[Estimate]) -> Floats:
    """The gradient (row, column) times the scale of each column, else the coefficients of the narrowest fit."""
    if not has_tangent(case):
        return np.asarray(fits[0].values)
    scale = np.array(ball.scale or np.ones(case.rows.shape))
    return np.where(scale > 0, to_floats(case.gradient(case.rows.x)) * scale, np.nan)
