# SPDX-License-Identifier: Apache-2.0
"""Slopes of linear models around each row, at several widths."""

import numpy as np

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.engine.infinite_targets import require_finite
from assay.engine.search.ball import Ball
from assay.engine.surrogates.local_slopes import fits_at_widths, has_tangent, tangent_of
from assay.nouns.catalogue import Cost
from assay.nouns.results.result import Estimate

UNIT = Ball("linf", 0.1)
"""A tenth of a unit of each column: a tenth of its standard deviation where the columns are standardised."""

LARGEST_CHANGE = 0.5
"""Median relative change of the slopes up to which a tangent is said to describe the model."""


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The points of every width, and the gradient at the rows where there is one."""
    tangent = int(has_tangent(case))
    return Cost(len(o.widths) * o.budget + tangent, tangent) * (len(case) * case.model.passes_per_row)


@explainer(source="ribeiro2016", needs={"table", "numbers", "complete"}, claims={"linear"}, cost=_cost)
def local_slopes(
    case: Case, *, ball: Ball = UNIT, widths: tuple[float, ...] = (1.0, 3.0, 10.0), budget: int = 512
) -> Estimate:
    """How far from a row the model stays linear: slopes of linear models fitted at points around the row, by width.

    Values (row, column) are the coefficients of the narrowest fit: the target's mean change for a move of one unit of
    the ball's ``scale`` (a standard deviation), or of one unit of the column without a scale; ``stderr`` is that of
    sampled points. Each width multiplies the radius of ``ball``; the fit is least squares on ``budget`` points, uniform
    in the ball, the same moves for all rows and widths. ``extra``, all by (width, row): "fidelity" is the R² of the
    fit, "change" is |s − t| / |t| (Euclidean, over columns) of its slopes s, where t is the gradient at the row, or for
    a model without a gradient the narrowest fit; "same top" says whether the column with the largest |slope| is that of
    t. extra["slopes"] (width, row, column) has all slopes. Undefined: columns that do not move (scale 0), "change"
    where t = 0 and "fidelity" where the target is the same at all points. The description says up to which width a
    tangent describes the model: where the median change over rows is at most one half.
    """
    fits = fits_at_widths(case, ball, widths, budget)
    tangent, slopes = tangent_of(case, ball, fits), np.stack([np.asarray(fit.values) for fit in fits])
    known = np.isfinite(tangent).any(axis=0)
    if not known.any():
        require_finite(case, tangent)
    size = np.linalg.norm(tangent[:, known], axis=1)
    gap = np.linalg.norm((slopes - tangent)[..., known], axis=2)
    change = np.divide(gap, size, out=np.full(gap.shape, np.nan), where=size > 0)
    same = np.abs(slopes[..., known]).argmax(axis=2) == np.abs(tangent[:, known]).argmax(axis=1)
    top = np.where(np.isfinite(gap), same, np.nan)
    fidelity = np.stack([fit.extra["fidelity"] for fit in fits])
    return Estimate(
        slopes[0],
        fits[0].stderr,
        extra={"slopes": slopes, "fidelity": fidelity, "change": change, "same top": top},
        description=_description(ball, widths, change, top, fidelity, has_tangent(case)),
    )


def _description(
    ball: Ball, widths: tuple[float, ...], change: Floats, top: Floats, fidelity: Floats, is_gradient: bool
) -> tuple[str, ...]:
    """One sentence, and a line for each width."""
    unit = "sd" if ball.scale else "units"
    radii = [f"{ball.radius * width:.3g} {unit}" for width in widths]
    medians = [_median(one) for one in change]
    kept = [radius for radius, median in zip(radii, medians) if median <= LARGEST_CHANGE]
    what = "the gradient" if is_gradient else f"the slopes within {radii[0]}"
    if not np.isfinite(medians).any():
        sentence = "The target does not change around these rows, so it has no tangent."
    elif not kept:
        sentence = f"A tangent does not describe the model even within {radii[0]}: the slopes differ by more than half."
    else:
        beyond = "" if kept[-1] == radii[-1] else "; farther out the slopes are others"
        sentence = f"A tangent describes the model up to moves of about {kept[-1]}{beyond}."
    head = f"{'moves within':>12}  {'slopes differ by':>16}  {'same top feature':>16}  {'R²':>5}"
    lines = [
        f"{radius:>12}  {median:>16.0%}  {_share(same):>16.0%}  {_median(fit):>5.2f}"
        for radius, median, same, fit in zip(radii, medians, top, fidelity)
    ]
    return (sentence, head, *lines, f"Medians over rows, of the difference from {what}; R² of the linear fit.")


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _share(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
