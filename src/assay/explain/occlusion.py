# SPDX-License-Identifier: Apache-2.0
"""Occlusion, leaving one part out."""

import numpy as np

from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.declare import explainer
from assay.engine.price import coalitions
from assay.engine.summary import Design
from assay.words.types import Floats


@explainer(
    source="zeiler2014",
    claims={"dummy", "symmetric", "linear"},
    price=coalitions(lambda case, o: Design(~np.eye(len(case.features), dtype=bool))),
)
def occlusion(case: Case, *, remove: Removal = Constant(0.0)) -> Floats:
    """How much the target falls when a part alone is removed.

    f(x) − v(N ∖ i), in units of the target; n evaluations a row, nothing drawn, no base. The values do not add up to
    anything: of two parts that stand in for one another each gets 0, of two that work only together each the whole.

    captum.Occlusion slides a window and averages where windows overlap; here the windows are the case's parts (grid
    patches, superpixels, columns) and do not overlap.
    """
    without = case.game(remove).table(~np.eye(len(case.features), dtype=bool))
    return case.output[:, None] - without
