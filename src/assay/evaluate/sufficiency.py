# SPDX-License-Identifier: Apache-2.0
"""Sufficiency: the drop in the target with only the top features."""

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.cost import shares
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import perturbation_points
from assay.nouns.results.result import Explanation


@scorer(source="deyoung2020", better="lower", claims={"ordered", "directed"}, cost=shares(insert=True))
def sufficiency(
    explanation: Explanation,
    case: Case,
    *,
    remove: Removal = DEFAULT,
    shares: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.5),
) -> PerRow:
    """Mean drop in the target when only the features of highest attribution are kept.

    Mean over the shares q of f(x) − v(the ⌈q · n⌉ highest features alone), in units of the target; 0 where they alone
    give the whole target, negative where they give more. With few features several shares select the same features,
    which then weigh more. Undefined where the explanation has a NaN. These are points of the insertion curve with one
    feature per step and need no further model evaluations after it.

    quantus.Sufficiency is another quantity: the probability that inputs with similar explanations share a label.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0))            # the higher feature alone gives 3 of 4
    >>> sufficiency(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([1.])
    """
    alone = perturbation_points(explanation, case, remove, shares, insert=True)
    return case.output - alone.mean(axis=1)
