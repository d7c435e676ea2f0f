# SPDX-License-Identifier: Apache-2.0
"""Region perturbation."""

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.cost import beginning
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import mean_of_points, ordered_start
from assay.nouns.results.result import Explanation


@scorer(source="samek2017", better="higher", claims={"ordered", "directed"}, cost=beginning(lambda o: o.regions))
def region_perturbation(
    explanation: Explanation, case: Case, *, remove: Removal = Constant(0.0), regions: int = 100
) -> PerRow:
    """How far the target falls, on average, as the first regions are removed, highest attribution first.

    1/(L + 1) Σ_{k=0…L} f(x) − f(x without the k highest parts), L = ``regions`` or as many parts as there are, one part
    a step, in units of the target. The parts are the regions: assay.grid((c, h, w), 9) cuts the paper's 9 × 9 pixels.
    Ties fall in part order. Undefined where the explanation is. With as many regions as parts it is ``aopc``; its
    points are points of the deletion curve with one part a step, and free after it.

    The paper fills regions with uniform noise. quantus.RegionPerturbation returns the falls, which are high for good
    explanations, and declares that lower is better.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0, 1.0))       # falls by 0, 3
    >>> region_perturbation(explain.integrated_gradients(case), case, regions=1).values.round(3)
    array([1.5])
    """
    return case.output - mean_of_points(*ordered_start(explanation, case, remove, regions))
