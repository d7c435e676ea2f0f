# SPDX-License-Identifier: Apache-2.0
"""Completeness."""

import numpy as np

from assay.cases.case import Case
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation

ROUNDING = 1e-6
"""Share of the target's size below which a rise cannot be told from rounding in float32."""


@scorer(source="sundararajan2017", better="lower", cost=free)
def completeness(explanation: Explanation, case: Case) -> Estimate:
    """How much of the target's rise over its base the values leave unexplained.

    |Σφ − (f(x) − base)| in units of the target, 0 is best; extra["relative"] is its share of |f(x) − base|, undefined
    where the target does not rise by more than a millionth of its size, which is rounding. Undefined where the
    explanation has no base (gradients, RISE): such values are not meant to add up. Costs no model call. A complete
    explanation need not be faithful: its values may be shuffled.

    quantus.Completeness differs: exact equality of floating-point numbers, after normalising the values.

    >>> from assay import examples, explain
    >>> case = examples.linear((2.0, -1.0))
    >>> completeness(explain.integrated_gradients(case), case).values.round(9)
    array([0.])
    """
    gap, rise = np.abs(explanation.residual), np.abs(explanation.output - explanation.base)
    size = np.maximum(np.abs(explanation.output), np.abs(explanation.base))
    relative = np.divide(gap, rise, out=np.full(gap.shape, np.nan), where=rise > ROUNDING * size)
    return Estimate(gap, extra={"relative": relative})
