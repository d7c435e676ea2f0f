# SPDX-License-Identifier: Apache-2.0
"""Selectivity."""

import numpy as np

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.cost import curve
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import perturbation_curve
from assay.nouns.results.result import Explanation


@scorer(source="montavon2018", better="lower", claims={"ordered", "directed"}, cost=curve())
def selectivity(explanation: Explanation, case: Case, *, remove: Removal = DEFAULT, steps: int = 0) -> PerRow:
    """Area under the target from the first removal to the last, highest attribution first.

    The trapezium rule over the removals alone, divided by their width, so in units of the target. Unlike ``deletion``
    it excludes the original input, which is the same for all explanations. If one removal takes all features, it is the
    target without features. ``steps`` is the number of removals (0: one feature at a time); ties are broken by feature
    order. Undefined where the explanation has a NaN. Needs no further model evaluations after ``deletion``.

    quantus.Selectivity returns the curve of the removals; its area, with steps of width 1, is this times the number of
    removals minus one.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0, 1.0))       # v = 5, then 2, 1, 0
    >>> selectivity(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([1.])
    """
    removed, value = perturbation_curve(explanation, case, remove, steps)
    removed, value = removed[:, 1:], value[:, 1:]
    width = removed[:, -1] - removed[:, 0]
    return np.divide(np.trapezoid(value, removed, axis=1), width, out=value[:, 0].copy(), where=width > 0)
