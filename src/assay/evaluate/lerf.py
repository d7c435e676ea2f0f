# SPDX-License-Identifier: Apache-2.0
"""Least relevant first."""

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.cost import curve
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import mean_of_points, ordered_curve
from assay.nouns.results.result import Explanation


@scorer(source="schulz2020", better="higher", claims={"ordered", "directed"}, cost=curve(insert=True))
def lerf(explanation: Explanation, case: Case, *, remove: Removal = Constant(0.0), steps: int = 0) -> PerRow:
    """Mean of the target over the points of the curve that removes the least relevant parts first.

    As ``morf``, in the other order, in units of the target. To remove the lowest parts is to keep the highest, so this
    is the mean of the curve of ``insertion``, read from its end, and free after it. Undefined where the explanation is.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0))            # v = 4, 3, 0 as parts go
    >>> lerf(explain.integrated_gradients(case), case).values.round(3)
    array([2.333])
    """
    return mean_of_points(*ordered_curve(explanation, case, remove, steps, insert=True))
