# SPDX-License-Identifier: Apache-2.0
"""Least relevant first (LeRF)."""

from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.cost import curve
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import mean_of_points, perturbation_curve, with_curve
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="schulz2020", better="higher", claims={"ordered", "directed"}, cost=curve(insert=True))
def lerf(explanation: Explanation, case: Case, *, remove: Removal = DEFAULT, steps: int = 0) -> Estimate:
    """Mean of the target over the points of the curve that removes the least relevant features first.

    As ``morf`` in the opposite order, in units of the target. Removing the lowest features keeps the highest, so this
    is the mean of the curve of ``insertion``, after which it needs no model evaluations. Undefined where the
    explanation has a NaN.

    ``extra["insertion curve"]`` (row, point) is the target at ``extra["inserted"]``, the share of features inserted.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0))            # v = 4, 3, 0
    >>> lerf(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([2.333])
    """
    inserted, value = perturbation_curve(explanation, case, remove, steps, insert=True)
    return with_curve(mean_of_points(inserted, value), inserted, value, insert=True)
