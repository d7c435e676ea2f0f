# SPDX-License-Identifier: Apache-2.0
"""Completeness."""

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import scorer
from assay.engine.price import free
from assay.nouns.result import Estimate, Explanation


@scorer(source="sundararajan2017", better="lower", price=free)
def completeness(explanation: Explanation, case: Case) -> Estimate:
    """How much of the target's rise over its base the values leave unexplained.

    |Σφ − (f(x) − base)| in units of the target, 0 is best; extra["relative"] is its share of |f(x) − base|, undefined
    where the target does not rise. Undefined where the explanation has no base (gradients, RISE): such values are not
    meant to add up. Costs no model call. A complete explanation need not be faithful: its values may be shuffled.

    quantus.Completeness differs: exact equality of floating-point numbers, after normalising the values.

    >>> from assay import examples, explain
    >>> case = examples.linear((2.0, -1.0))
    >>> completeness(explain.integrated_gradients(case), case).values.round(9)
    array([0.])
    """
    gap, rise = np.abs(explanation.residual), np.abs(explanation.output - explanation.base)
    relative = np.divide(gap, rise, out=np.full(gap.shape, np.nan), where=rise > 0)
    return Estimate(gap, extra={"relative": relative})
