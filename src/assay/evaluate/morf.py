# SPDX-License-Identifier: Apache-2.0
"""Most relevant first (MoRF)."""

from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.cost import curve
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import mean_of_points, perturbation_curve, with_curve
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="samek2017", better="lower", claims={"ordered", "directed"}, cost=curve())
def morf(explanation: Explanation, case: Case, *, remove: Removal = DEFAULT, steps: int = 0) -> Estimate:
    """Mean of the target over the points of the curve that removes the most relevant features first.

    1/(L + 1) Σ_{k=0…L} f(x without the first k of L removals), in units of the target; the original input and the input
    without features are one point each. ``steps`` is L (0: one feature at a time); ties are broken by feature order.
    Undefined where the explanation has a NaN. ``deletion`` is the area under the same curve, ``aopc`` is f(x) minus
    this mean; neither needs further model evaluations.

    quantus.PixelFlipping returns the curve from the first removal on: its mean leaves the original input out.

    ``extra["curve"]`` (row, point) is the target at ``extra["removed"]``, the share of the row's features removed.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0))            # v = 4, 1, 0
    >>> morf(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([1.667])
    """
    removed, value = perturbation_curve(explanation, case, remove, steps)
    return with_curve(mean_of_points(removed, value), removed, value)
