# SPDX-License-Identifier: Apache-2.0
"""Region perturbation."""

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.cost import beginning
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import mean_of_points, perturbation_curve_start
from assay.nouns.results.result import Explanation


@scorer(source="samek2017", better="higher", claims={"ordered", "directed"}, cost=beginning(lambda o: o.regions))
def region_perturbation(
    explanation: Explanation, case: Case, *, remove: Removal = DEFAULT, regions: int = 100
) -> PerRow:
    """Mean drop in the target as the first regions are removed, highest attribution first.

    1/(L + 1) Σ_{k=0…L} f(x) − f(x without the k highest features), in units of the target. L is ``regions``, at most
    the number of features; one feature is removed per step. The features are the regions: assay.grid((c, h, w), 9)
    gives the paper's 9 × 9 pixels. Ties are broken by feature order. Undefined where the explanation has a NaN. With as
    many regions as features it is ``aopc``. Its points are points of the deletion curve with one feature per step and
    need no further model evaluations after it.

    The paper replaces regions by uniform noise. quantus.RegionPerturbation returns the drops, which are high for good
    explanations, and declares that lower is better.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0, 1.0))       # drops 0, 3
    >>> region_perturbation(explain.integrated_gradients(case), case, regions=1, remove=Constant(0.0)).values.round(3)
    array([1.5])
    """
    return case.output - mean_of_points(*perturbation_curve_start(explanation, case, remove, regions))
