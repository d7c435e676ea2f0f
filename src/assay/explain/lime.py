# SPDX-License-Identifier: Apache-2.0
"""LIME on the features of a case."""

from dataclasses import replace

import numpy as np

from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.estimator import estimate_by_removal
from assay.engine.coalitions.local_regression import local_regression
from assay.engine.cost import summarised
from assay.engine.declare import explainer
from assay.nouns.inputs.frames import list_first
from assay.nouns.results.result import Estimate, Note


@explainer(
    source="ribeiro2016",
    claims={"symmetric", "linear", "enumerable"},
    cost=summarised(lambda case, o: local_regression(o.width, o.ridge)),
)
def lime(
    case: Case,
    *,
    remove: Removal = DEFAULT,
    budget: int = 1024,
    width: float = 0.25,
    ridge: float = 0.0,
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
    the ranking of the whole fit is more stable than that.

    The lime package differs: its weight is the square root of this one, so its kernel_width=0.25 for images is
    width=0.354 here; it adds the unmasked input and a ridge of 1.0, selects features (10 by default for tables and
    text), discretises the columns of tables into quartiles, and gives no standard errors.
    """
    fitted = estimate_by_removal(case, remove, local_regression(width, ridge), budget)
    causes = {
        "flat": ("fidelity", "rows whose target no mask changes"),
        "unsteady": ("stability", "rows where half of the masks do not determine a ranking; raise budget"),
    }
    notes = []
    for code, (name, reason) in causes.items():
        undefined = np.flatnonzero(np.isnan(fitted.extra[name]))
        if len(undefined):
            text = f"{name} undefined for {len(undefined)} {reason}: {list_first(undefined)}"
            notes.append(Note(code, text, tuple(case.rows.ids[i] for i in undefined)))
    return replace(fitted, notes=tuple(notes))
