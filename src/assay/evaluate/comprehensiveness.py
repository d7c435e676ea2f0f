# SPDX-License-Identifier: Apache-2.0
"""Comprehensiveness: what is lost without the top parts."""

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.cost import shares
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import ordered_points
from assay.nouns.results.result import Explanation


@scorer(source="deyoung2020", better="higher", claims={"ordered", "directed"}, cost=shares())
def comprehensiveness(
    explanation: Explanation,
    case: Case,
    *,
    remove: Removal = Constant(0.0),
    shares: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.5),
) -> PerRow:
    """How far the target falls, on average, when the parts of highest attribution are taken away.

    Mean over the shares q of f(x) − v(all but the ⌈q · n⌉ highest parts), in units of the target; negative where taking
    them away raises it. With few parts several shares name the same parts and so weigh more. Undefined where the
    explanation is. These are points of the deletion curve with one part a step, and free after it.

    The ERASER benchmark's code differs by deleting tokens instead of filling them, and speaks of probabilities.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0))            # without the higher part v falls from 4 to 1
    >>> comprehensiveness(explain.integrated_gradients(case), case).values.round(3)
    array([3.])
    """
    without = ordered_points(explanation, case, remove, shares)
    return case.output - without.mean(axis=1)
