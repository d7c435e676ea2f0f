# SPDX-License-Identifier: Apache-2.0
"""Area under the deletion curve."""

import numpy as np

from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.cost import curve
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import perturbation_curve, with_curve
from assay.nouns.catalogue import Check
from assay.nouns.results.result import Estimate, Explanation


@scorer(
    source="samek2017",
    better="lower",
    claims={"ordered", "directed"},
    cost=curve(),
    checks=(
        Check(
            "EXP201",
            "Does the ranking of the explanation beat a random ranking when its top features are removed first?",
            "Use an explanation that beats a random ranking, or increase its budget; try another removal.",
            0.2,
            "at least",
            claim="normalised deletion score {estimate:.2f} (0 = random ranking, 1 = {top})",
            is_normalised=True,
            kind="faithful",
            severe=0.0,
        ),
    ),
)
def deletion(explanation: Explanation, case: Case, *, remove: Removal = DEFAULT, steps: int = 0) -> Estimate:
    """Area under the target as features are removed, highest attribution first.

    In units of the target: the trapezium rule over the share of features removed, from none to all. ``steps`` is the
    number of removals (0: one feature at a time); ties are broken by feature order. With many features choose ``steps``
    near 30: each step costs one model evaluation per row. Undefined where the explanation has a NaN.

    quantus.PixelFlipping differs: by default it returns the curve, starts after the first removal, and removes single
    elements.

    ``extra["curve"]`` (row, point) is the target at ``extra["removed"]``, the share of the row's features removed.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0))            # v = 4, 1, 0
    >>> deletion(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([1.5])
    """
    removed, value = perturbation_curve(explanation, case, remove, steps)
    return with_curve(np.trapezoid(value, removed, axis=1), removed, value)
