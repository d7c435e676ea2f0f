# SPDX-License-Identifier: Apache-2.0
"""Comprehensiveness: the drop in the target without the top features."""

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.cost import shares
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import perturbation_points
from assay.nouns.results.result import Explanation


@scorer(source="deyoung2020", better="higher", claims={"ordered", "directed"}, cost=shares())
def comprehensiveness(
    explanation: Explanation,
    case: Case,
    *,
    remove: Removal = DEFAULT,
    shares: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.5),
) -> PerRow:
    """Mean drop in the target when the features of highest attribution are removed.

    Mean over the shares q of f(x) − v(all but the ⌈q · n⌉ highest features), in units of the target; negative where
    their removal raises it. With few features several shares select the same features, which then weigh more. Undefined
    where the explanation has a NaN. These are points of the deletion curve with one feature per step and need no
    further model evaluations after it.

    The ERASER benchmark's code differs: it deletes tokens instead of replacing them, and uses probabilities.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0))            # without the higher feature v drops from 4 to 1
    >>> comprehensiveness(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([3.])
    """
    without = perturbation_points(explanation, case, remove, shares)
    return case.output - without.mean(axis=1)
