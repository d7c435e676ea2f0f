# SPDX-License-Identifier: Apache-2.0
"""LIME on the parts of a case."""

from dataclasses import replace

import numpy as np

from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.local_regression import local_regression
from assay.engine.coalitions.summary import removal
from assay.engine.cost import summarised
from assay.engine.declare import explainer
from assay.nouns.inputs.frames import some
from assay.nouns.results.result import Estimate, Note


@explainer(
    source="ribeiro2016",
    claims={"symmetric", "linear", "enumerable"},
    cost=summarised(lambda case, o: local_regression(o.width, o.ridge)),
)
def lime(
    case: Case,
    *,
    remove: Removal = Constant(0.0),
    budget: int = 1024,
    width: float = 0.25,
    ridge: float = 0.0,
) -> Estimate:
    """The slope of a linear model of presence and absence, fitted to the target near the input.

    Minimises Σ_z exp(−d(z)²/width²) (v(z) − b − φ·z)² + ridge · |φ|² over masks z that keep each part with probability
    ½, where d = 1 − √(share of parts kept) is the cosine distance to keeping all; in units of the target. The base
    is the intercept b, so the residual is the local model's error at the input itself. ``extra["fidelity"]`` is the
    weighted R² of the fit (1 best; NaN where the target is the same for all masks): below about a half the values
    describe little of what the model does. An idle part need not get 0 where the fit is poor. ``stderr`` is the
    sandwich error over masks; with all 2^n masks in ``budget`` they are listed, and it is 0. ``extra["stability"]`` is
    Spearman's rank correlation of the values fitted to one half of the masks with those fitted to the other (1 where
    all masks are listed; NaN, with a note, where a half does not determine the values or finds all the same): the
    order of the parts that another seed would give. Each half has half the masks, so the whole is steadier than that.

    The lime package differs: its weight is the square root of this one, so its kernel_width=0.25 for images is
    width=0.354 here; it adds the unmasked input and a ridge of 1.0, keeps a selection of features (10 by default for
    tables and text), cuts the columns of tables into quartiles, and gives no standard errors.
    """
    fitted = removal(case, remove, local_regression(width, ridge), budget)
    found = {
        "flat": ("fidelity", "rows whose target no mask changes"),
        "unsteady": ("stability", "rows where half the masks do not tell the parts apart; raise budget"),
    }
    notes = []
    for code, (name, why) in found.items():
        lost = np.flatnonzero(np.isnan(fitted.extra[name]))
        if len(lost):
            text = f"{name} undefined for {len(lost)} {why}: {some(lost)}"
            notes.append(Note(code, text, tuple(case.rows.ids[i] for i in lost)))
    return replace(fitted, notes=tuple(notes))
