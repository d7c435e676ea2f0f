# SPDX-License-Identifier: Apache-2.0
"""Monotonicity."""

import numpy as np

from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.cost import curve
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import ordered_curve
from assay.nouns.results.result import Estimate, Explanation

ROUNDING = 1e-6
"""Share of the curve's largest value by which a step may fall and still count as level: rounding in float32."""


@scorer(source="arya2019", better="higher", claims={"ordered"}, cost=curve())
def monotonicity(explanation: Explanation, case: Case, *, remove: Removal = Constant(0.0), steps: int = 0) -> Estimate:
    """Share of the steps that do not lower the target as parts are added, lowest attribution first.

    From everything removed to the intact input; 0 … 1. extra["monotone"] is 1 where no step lowers the target. Falls
    below a millionth of the curve's largest value are rounding. ``steps`` is the number of steps (0: one part at a
    time); ties fall in part order. Undefined where the explanation is. It is the curve of ``deletion`` walked from its
    end, and free after it.

    Where parts do not interact each adds the same in any order, and every explanation gets the same score: this
    judges the order only as far as parts depend on one another.

    quantus.Monotonicity is true of every explanation under a constant baseline: it never shows the input. AIX360's is
    all or nothing, and leaves out the first part added.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, -2.0, 1.0))      # v = 0, −2, −1, 2 as parts come
    >>> monotonicity(explain.integrated_gradients(case), case).values.round(3)
    array([0.667])
    """
    gone, value = ordered_curve(explanation, case, remove, steps)
    step = np.diff(gone, axis=1) > 0  # a row with fewer parts repeats its last point
    level = ROUNDING * np.abs(value).max(axis=1, keepdims=True)
    rising = (value[:, :-1] - value[:, 1:] >= -level) & step
    known = ~np.isnan(value).any(axis=1)
    share = np.divide(rising.sum(axis=1), step.sum(axis=1), out=np.full(len(case), np.nan), where=known)
    return Estimate(share, extra={"monotone": np.where(known, (share == 1.0).astype(np.float64), np.nan)})
