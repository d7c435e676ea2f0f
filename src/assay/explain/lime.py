# SPDX-License-Identifier: Apache-2.0
"""LIME on the features of a case."""

from dataclasses import replace

import numpy as np

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.estimator import estimate_by_removal
from assay.engine.coalitions.local_regression import local_regression
from assay.engine.cost import Given, summarised
from assay.engine.declare import explainer
from assay.engine.search.ball import Ball
from assay.engine.surrogates.local_slopes import fit_local_slopes
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.frames import list_first
from assay.nouns.results.result import Estimate, Note


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The design of masks, or the points around each row."""
    if o.neighbourhood is not None:
        return Cost(o.budget) * (len(case) * case.model.passes_per_row)
    return summarised(lambda case, o: local_regression(o.width, o.ridge))(case, o, again)


@explainer(source="ribeiro2016", claims={"symmetric", "linear", "enumerable"}, cost=_cost)
def lime(
    case: Case,
    *,
    remove: Removal = DEFAULT,
    budget: int = 1024,
    width: float = 0.25,
    ridge: float = 0.0,
    neighbourhood: Ball | None = None,
) -> Estimate:
    """The coefficients of a linear model of feature presence, fitted to the target near the input.

    Minimises Σ_z exp(−d(z)²/width²) (v(z) − b − φ·z)² + ridge · |φ|² over masks z that keep each feature with
    probability ½, where d = 1 − √(share of features kept) is the cosine distance to keeping all; in units of the
    target. The base is the intercept b, so the residual is the local model's error at the input itself.
    ``extra["fidelity"]`` is the weighted R² of the fit (1 best; NaN where the target is the same for all masks): below
    about 0.5 the values describe little of the model's behaviour. A feature without effect need not get 0 where the fit
    is poor. ``stderr`` is the sandwich error over masks; if all 2^n masks fit in ``budget``, they are enumerated and it
    is 0. ``extra["stability"]`` is Spearman's rank correlation of the values fitted to one half of the masks with those
    fitted to the other (1 where all masks are enumerated; NaN, with a note, where a half does not determine the values
    or gives equal values): how far the ranking would agree with that of another seed. Each half has half the masks, so
    the ranking of the whole fit is more stable than that. ``extra["nonzero"]`` is the complexity Ω of the linear model:
    its coefficients other than 0.

    With a ``neighbourhood``, for tables of numbers alone, the linear model is fitted at ``budget`` points z that are
    uniform in the ball around the row, instead of at masks, and nothing is removed: the model of Ribeiro et al. on
    continuous columns. Minimises Σ_z exp(−d(z)²/width²) (f(z) − b − φ·u)² + ridge · |φ|², where u = (z − x) / scale of
    the ball, d² is the mean of u² over columns, and ``width`` is in the same units. A value is the slope times the
    scale: the local model's change of the target when the column rises by one unit of scale (a standard deviation), or
    by 1 without a scale. It is no share of the output, so there is no base; ``extra["intercept"]`` is b, the local
    model at the row. Compare the values with gradient × scale: they differ where the model is not linear within the
    ball, which a low fidelity shows. Columns of scale 0 do not move and are undefined.

    The lime package differs: its weight is the square root of this one, so its kernel_width=0.25 for images is
    width=0.354 here; it adds the unmasked input and a ridge of 1.0, selects features (10 by default for tables and
    text), discretises the columns of tables into quartiles, and gives no standard errors. Undiscretised, it draws
    normal points around the row or the mean, and its default kernel is width=0.75 in units of standard deviations.
    """
    if neighbourhood is None:
        fitted = estimate_by_removal(case, remove, local_regression(width, ridge), budget)
    elif remove is DEFAULT:
        fitted = fit_local_slopes(case, neighbourhood, budget, width, ridge)
    else:
        raise InputError("remove= and neighbourhood= exclude each other: points around a row remove nothing.")
    causes = {
        "flat": ("fidelity", "rows whose target is the same for all masks or points"),
        "unsteady": ("stability", "rows where half of the masks or points do not determine a ranking; raise budget"),
    }
    notes = []
    for code, (name, reason) in causes.items():
        undefined = np.flatnonzero(np.isnan(fitted.extra[name]))
        if len(undefined):
            text = f"{name} undefined for {len(undefined)} {reason}: {list_first(undefined)}"
            notes.append(Note(code, text, tuple(case.rows.ids[i] for i in undefined)))
    return replace(fitted, notes=tuple(notes))
