# SPDX-License-Identifier: Apache-2.0
"""Completeness."""

import numpy as np

from assay.cases.case import Case
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.catalogue import Check
from assay.nouns.results.result import Estimate, Explanation

ROUNDING = 1e-6
"""Share of the target's size up to which a change in output is rounding in float32."""


@scorer(
    source="sundararajan2017",
    better="lower",
    cost=free,
    checks=(
        Check(
            "EXP101",
            "Do the values add up to the change in output that they should distribute?",
            "Increase the steps or the budget, or use a method whose values add up exactly.",
            0.05,
            "at most",
            claim="{estimate:.1%} of the change in output is unexplained",
            over="change",
            severe=0.5,
        ),
    ),
)
def completeness(explanation: Explanation, case: Case) -> Estimate:
    """Absolute gap between the sum of the values and the change in output that they distribute.

    |Σφ − (f(x) − base)| in units of the target, 0 is best. extra["relative"] is the gap divided by |f(x) − base|,
    undefined where that change is at most a millionth of the target's size, which is rounding. Undefined where the
    explanation has no base value (gradients, RISE): such values need not add up. Needs no model evaluations. A complete
    explanation need not be faithful: shuffled values are still complete. extra["change"] is |f(x) − base|, 0 where that
    is rounding. EXP101 is pooled, Σ|gap| / Σ|change|, so that rows whose output barely changes do not dominate it.

    quantus.Completeness differs: it tests exact equality of floating-point numbers, after normalising the values.

    >>> from assay import examples, explain
    >>> case = examples.linear((2.0, -1.0))
    >>> completeness(explain.integrated_gradients(case), case).values.round(9)
    array([0.])
    """
    gap, change = np.abs(explanation.residual), np.abs(explanation.output - explanation.base)
    size = np.maximum(np.abs(explanation.output), np.abs(explanation.base))
    changes = change > ROUNDING * size
    relative = np.divide(gap, change, out=np.full(gap.shape, np.nan), where=changes)
    rounded = np.where(changes | np.isnan(gap), change, 0.0)
    return Estimate(gap, extra={"relative": relative, "change": rounded})
