# SPDX-License-Identifier: Apache-2.0
"""Permutation importance."""

from typing import Any

import numpy as np

from assay.basics.types import PerPart
from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.engine.coalitions.summary import Design
from assay.engine.cost import against, coalitions
from assay.engine.declare import explainer
from assay.engine.removal.windows import fall_without
from assay.engine.retraining.labelled_rows import finite


@explainer(
    source="fisher2019",
    claims={"dummy", "linear"},
    cost=against(coalitions(lambda case, o: Design(~np.eye(len(case.features), dtype=bool)))),
)
def permutation_importance(case: Case, *, background: Any) -> PerPart:
    """How much the target rises, on average, when a part is exchanged for that of another row.

    mean_b f(x with the part of b) − f(x) over all rows b of ``background``; nothing is drawn. Put to the loss,
    ``case.with_target("loss", truth)``, ``.mean()`` is the model reliance of Fisher, Rudin and Dominici (2019; difference
    form) and Breiman's importance (2001), with its interval over rows; a row's own value says how much worse the model
    would do there. Put to another target it is the mean change. In units of the target; no base.

    Columns that stand in for one another each get little, and exchanging one alone makes rows that may not exist; give
    such columns as one part. sklearn.inspection.permutation_importance shuffles a few times at random instead of
    taking all exchanges, and its error is over shuffles, not rows.
    """
    alone = np.eye(len(case.features), dtype=bool)
    return finite(case, -fall_without(case, Marginal(background), alone))
