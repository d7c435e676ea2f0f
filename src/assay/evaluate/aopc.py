# SPDX-License-Identifier: Apache-2.0
"""Area over the perturbation curve (AOPC)."""

from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.cost import curve
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import mean_of_points, perturbation_curve, with_curve
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="samek2017", better="higher", claims={"ordered", "directed"}, cost=curve())
def aopc(explanation: Explanation, case: Case, *, remove: Removal = DEFAULT, steps: int = 0) -> Estimate:
    """Mean drop in the target as features are removed, highest attribution first.

    1/(L + 1) Σ_{k=0…L} f(x) − f(x without the first k of L removals), in units of the target. The sum includes the
    original input (k = 0, drop 0), as in the paper. It equals f(x) minus ``morf``; negative where removal raises the
    target. ``steps`` is L (0: one feature at a time); ties are broken by feature order. Undefined where the explanation
    has a NaN.

    ``region_perturbation`` stops after a given number of regions. ERASER's AOPC is ``comprehensiveness``.

    ``extra["curve"]`` (row, point) is the target at ``extra["removed"]``, the share of the row's features removed.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0))            # drops 0, 3, 4
    >>> aopc(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([2.333])
    """
    removed, value = perturbation_curve(explanation, case, remove, steps)
    return with_curve(case.output - mean_of_points(removed, value), removed, value)
