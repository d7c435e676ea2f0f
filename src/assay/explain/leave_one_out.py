# SPDX-License-Identifier: Apache-2.0
"""Leave-one-out values."""

import numpy as np

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.coalitions.estimator import Design
from assay.engine.cost import coalitions
from assay.engine.declare import explainer
from assay.engine.removal.windows import removal_effects


@explainer(
    source="covert2021",
    claims={"dummy", "symmetric", "linear"},
    cost=coalitions(lambda case, o: Design(~np.eye(len(case.features), dtype=bool))),
)
def leave_one_out(case: Case, *, remove: Removal) -> Floats:
    """The decrease of the target when one feature is removed.

    v(N) − v(N ∖ i), in units of the target; n evaluations per row, deterministic, no base. Among the semivalues
    (Shapley, Banzhaf) it has all its weight on the largest coalition, so redundant features get 0. The same number as
    ``occlusion`` with ``together=1``, which is the usual name for images; this one is usual for tables, texts and data.
    ``remove`` has no default here, since no constant represents absence in a table.
    """
    return removal_effects(case, remove, np.eye(len(case.features), dtype=bool))
