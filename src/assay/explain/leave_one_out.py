# SPDX-License-Identifier: Apache-2.0
"""Leaving one part out."""

import numpy as np

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.coalitions.summary import Design
from assay.engine.cost import coalitions
from assay.engine.declare import explainer
from assay.engine.removal.windows import fall_without


@explainer(
    source="covert2021",
    claims={"dummy", "symmetric", "linear"},
    cost=coalitions(lambda case, o: Design(~np.eye(len(case.features), dtype=bool))),
)
def leave_one_out(case: Case, *, remove: Removal) -> Floats:
    """How much the target falls when a part alone is left out: its gain as the last to join.

    v(N) − v(N ∖ i), in units of the target; n evaluations a row, nothing drawn, no base. Of the semivalues (Shapley,
    Banzhaf) it is the one with all its weight on the largest coalition, so parts that stand in for one another get 0.
    The same number as ``occlusion`` with ``together=1``: that is the name it has for pictures, this one for tables,
    texts and data. ``remove`` has no default here, since for a table no constant means absence.
    """
    return fall_without(case, remove, np.eye(len(case.features), dtype=bool))
