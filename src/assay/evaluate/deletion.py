# SPDX-License-Identifier: Apache-2.0
"""The deletion curve's area."""

import numpy as np

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.cost import curve
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import ordered_curve
from assay.nouns.results.result import Explanation


@scorer(source="samek2017", better="lower", claims={"ordered", "directed"}, cost=curve())
def deletion(explanation: Explanation, case: Case, *, remove: Removal = Constant(0.0), steps: int = 0) -> PerRow:
    """Area under the target as parts are removed, highest attribution first.

    In units of the target: the trapezium rule over the share of parts removed, from none to all. ``steps`` is the
    number of removals (0: one part at a time); ties fall in part order. With many parts choose ``steps`` near 30: each
    costs one evaluation a row. Undefined where the explanation is.

    quantus.PixelFlipping differs: by default it returns the curve, starts after the first removal, and steps by
    element.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0))            # v = 4, 1, 0 as parts go
    >>> deletion(explain.integrated_gradients(case), case).values.round(3)
    array([1.5])
    """
    gone, value = ordered_curve(explanation, case, remove, steps)
    return np.asarray(np.trapezoid(value, gone, axis=1))
