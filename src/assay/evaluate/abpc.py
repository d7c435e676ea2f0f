# SPDX-License-Identifier: Apache-2.0
"""Area between the perturbation curves (ABPC)."""

import numpy as np

from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.cost import both_curves
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import perturbation_curve
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="schulz2020", better="higher", claims={"ordered", "directed"}, cost=both_curves)
def abpc(explanation: Explanation, case: Case, *, remove: Removal = DEFAULT, steps: int = 0) -> Estimate:
    """Area between the curves that remove the least relevant and the most relevant features first.

    ∫ LeRF − ∫ MoRF over the share of features removed, by the trapezium rule, in units of the target; −1 … 1 for
    probabilities. Both curves start at f(x) and end with all features removed, so that part of the effect of the fill
    values cancels: 0 means that the ranking is no better than its reverse. It equals ``insertion`` minus ``deletion``
    and needs no further model evaluations after them. Undefined where the explanation has a NaN.

    The paper first rescales f(x) to 1 and the output without features to 0; pnpxai.AbPC clips each difference from
    below.

    ``extra["curve"]`` and ``extra["insertion curve"]`` (row, point) are the targets at the shares ``extra["removed"]``
    and ``extra["inserted"]``.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0))            # curves 4, 3, 0 and 4, 1, 0
    >>> abpc(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([1.])
    """
    removed, most_first = perturbation_curve(explanation, case, remove, steps)
    inserted, least_first = perturbation_curve(explanation, case, remove, steps, insert=True)
    area = np.trapezoid(least_first, inserted, axis=1) - np.trapezoid(most_first, removed, axis=1)
    curves = {"removed": removed, "curve": most_first, "inserted": inserted, "insertion curve": least_first}
    return Estimate(np.asarray(area), extra=curves)
