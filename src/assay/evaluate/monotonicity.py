# SPDX-License-Identifier: Apache-2.0
"""Monotonicity."""

import numpy as np

from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.cost import curve
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import perturbation_curve
from assay.nouns.results.result import Estimate, Explanation

ROUNDING = 1e-6
"""Share of the curve's largest value up to which a drop is rounding in float32."""


@scorer(source="arya2019", better="higher", claims={"ordered"}, cost=curve())
def monotonicity(explanation: Explanation, case: Case, *, remove: Removal = DEFAULT, steps: int = 0) -> Estimate:
    """Share of the steps that do not lower the target as features are inserted, lowest attribution first.

    From all features removed to the original input; 0 … 1. extra["monotone"] is 1 where no step lowers the target.
    Drops of at most a millionth of the curve's largest value are rounding. ``steps`` is the number of steps (0: one
    feature at a time); ties are broken by feature order. Undefined where the explanation has a NaN. It is the reversed
    curve of ``deletion`` and needs no further model evaluations after it.

    Without interactions each feature adds the same in any order, and every explanation has the same score: the score
    depends on the ranking only through interactions.

    quantus.Monotonicity is true of every explanation under a constant baseline, since it never shows the input.
    AIX360's is one truth value, and leaves out the first feature added.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, -2.0, 1.0))      # v = 0, −2, −1, 2
    >>> monotonicity(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([0.667])
    """
    removed, value = perturbation_curve(explanation, case, remove, steps)
    step = np.diff(removed, axis=1) > 0  # a row with fewer features repeats its last point
    tolerance = ROUNDING * np.abs(value).max(axis=1, keepdims=True)
    rising = (value[:, :-1] - value[:, 1:] >= -tolerance) & step
    known = ~np.isnan(value).any(axis=1)
    share = np.divide(rising.sum(axis=1), step.sum(axis=1), out=np.full(len(case), np.nan), where=known)
    return Estimate(share, extra={"monotone": np.where(known, (share == 1.0).astype(np.float64), np.nan)})
