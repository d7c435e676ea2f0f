# SPDX-License-Identifier: Apache-2.0
"""Selectivity."""

import numpy as np

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.cost import curve
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import ordered_curve
from assay.nouns.results.result import Explanation


@scorer(source="montavon2018", better="lower", claims={"ordered", "directed"}, cost=curve())
def selectivity(explanation: Explanation, case: Case, *, remove: Removal = Constant(0.0), steps: int = 0) -> PerRow:
    """Area under the target from the first removal to the last, highest attribution first.

    The trapezium rule over the removals alone, divided by their width, so in units of the target: unlike ``deletion``
    the intact input, alike for all explanations, does not count. The target without anything where one removal takes
    all. ``steps`` is the number of removals (0: one part at a time); ties fall in part order. Undefined where the
    explanation is. Free after ``deletion``.

    quantus.Selectivity returns the curve of the removals; its area, a step being 1 wide, is this times the number of
    removals less one.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0, 1.0))       # v = 5, then 2, 1, 0 as parts go
    >>> selectivity(explain.integrated_gradients(case), case).values.round(3)
    array([1.])
    """
    gone, value = ordered_curve(explanation, case, remove, steps)
    gone, value = gone[:, 1:], value[:, 1:]
    width = gone[:, -1] - gone[:, 0]
    return np.divide(np.trapezoid(value, gone, axis=1), width, out=value[:, 0].copy(), where=width > 0)
