# SPDX-License-Identifier: Apache-2.0
"""The insertion curve's area."""

import numpy as np

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.cost import curve
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import ordered_curve
from assay.nouns.results.result import Explanation


@scorer(source="petsiuk2018", better="higher", claims={"ordered", "directed"}, cost=curve(insert=True))
def insertion(explanation: Explanation, case: Case, *, remove: Removal = Constant(0.0), steps: int = 0) -> PerRow:
    """Area under the target as parts are put back, highest attribution first, starting from everything removed.

    In units of the target: the trapezium rule over the share of parts put back, from none to all. ``steps`` is the
    number of steps (0: one part at a time); ties fall in part order. With many parts choose ``steps`` near 30.
    Undefined where the explanation is. Deletion with the lowest attribution first asks the same coalitions.

    The paper starts from a blurred image, remove=Blur(…), and averages probabilities; many ports start from zeros.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0))            # v = 0, 3, 4 as parts come
    >>> insertion(explain.integrated_gradients(case), case).values.round(3)
    array([2.5])
    """
    put_back, value = ordered_curve(explanation, case, remove, steps, insert=True)
    return np.asarray(np.trapezoid(value, put_back, axis=1))
