# SPDX-License-Identifier: Apache-2.0
"""The area between the perturbation curves."""

import numpy as np

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.cost import both_curves
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import ordered_curve
from assay.nouns.results.result import Explanation


@scorer(source="schulz2020", better="higher", claims={"ordered", "directed"}, cost=both_curves)
def abpc(explanation: Explanation, case: Case, *, remove: Removal = Constant(0.0), steps: int = 0) -> PerRow:
    """Area between the curves that remove the least and the most relevant parts first.

    ∫ LeRF − ∫ MoRF over the share of parts removed, by the trapezium rule, in units of the target; −1 … 1 for
    probabilities. Both curves start at f(x) and end with everything removed, so part of what the stand-in for removed
    parts does by itself cancels: 0 is an order no better than its reverse. It is ``insertion`` less ``deletion``, and
    free after them. Undefined where the explanation is.

    The paper rescales f(x) to 1 and the empty input to 0 first; pnpxai.AbPC clips each difference from below.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0))            # 4, 3, 0 over 4, 1, 0
    >>> abpc(explain.integrated_gradients(case), case).values.round(3)
    array([1.])
    """
    gone, most_first = ordered_curve(explanation, case, remove, steps)
    put_back, least_first = ordered_curve(explanation, case, remove, steps, insert=True)
    return np.asarray(np.trapezoid(least_first, put_back, axis=1) - np.trapezoid(most_first, gone, axis=1))
