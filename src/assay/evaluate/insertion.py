# SPDX-License-Identifier: Apache-2.0
"""Area under the insertion curve."""

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
    source="petsiuk2018",
    better="higher",
    claims={"ordered", "directed"},
    cost=curve(insert=True),
    checks=(
        Check(
            "EXP202",
            "Does the ranking of the explanation beat a random ranking when its top features are inserted first?",
            "Use an explanation that beats a random ranking, or increase its budget; try another removal.",
            0.2,
            "at least",
            claim="normalised insertion score {estimate:.2f} (0 = random ranking, 1 = {top})",
            is_normalised=True,
            kind="faithful",
            severe=0.0,
        ),
    ),
)
def insertion(explanation: Explanation, case: Case, *, remove: Removal = DEFAULT, steps: int = 0) -> Estimate:
    """Area under the target as features are inserted, highest attribution first, starting with all features removed.

    In units of the target: the trapezium rule over the share of features inserted, from none to all. ``steps`` is the
    number of insertions (0: one feature at a time); ties are broken by feature order. With many features choose
    ``steps`` near 30. Undefined where the explanation has a NaN. Deletion with the lowest attribution first evaluates
    the same coalitions.

    The paper starts from a blurred image, remove=Blur(…), and averages probabilities; many ports start from zeros.

    ``extra["insertion curve"]`` (row, point) is the target at ``extra["inserted"]``, the share of features inserted.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0))            # v = 0, 3, 4
    >>> insertion(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([2.5])
    """
    inserted, value = perturbation_curve(explanation, case, remove, steps, insert=True)
    return with_curve(np.trapezoid(value, inserted, axis=1), inserted, value, insert=True)
