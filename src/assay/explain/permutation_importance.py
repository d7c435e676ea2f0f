# SPDX-License-Identifier: Apache-2.0
"""Permutation importance."""

from typing import Any

import numpy as np

from assay.basics.types import PerPart
from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.engine.coalitions.estimator import Design
from assay.engine.cost import against, coalitions
from assay.engine.declare import explainer
from assay.engine.infinite_targets import require_finite
from assay.engine.removal.windows import removal_effects


@explainer(
    source="fisher2019",
    claims={"dummy", "linear"},
    cost=against(coalitions(lambda case, o: Design(~np.eye(len(case.features), dtype=bool)))),
)
def permutation_importance(case: Case, *, background: Any) -> PerPart:
    """The mean increase of the target when a feature is replaced by that of another row.

    mean_b f(x with the feature of b) − f(x) over all rows b of ``background``, deterministic. With the loss as target,
    ``case.with_target("loss", truth)``, ``.mean()`` is the model reliance of Fisher, Rudin and Dominici (2019;
    difference form) and Breiman's importance (2001), with its interval over rows; a row's own value is the increase of
    its loss. With another target it is the mean change. In units of the target; no base.

    Redundant columns each get a small value, and replacing one of them alone makes rows that may not exist; group such
    columns into one feature. sklearn.inspection.permutation_importance shuffles a few times at random instead of using
    all replacements, and its error is over shuffles, not rows.

    ``NumericalError`` where the target is infinite at a row or a replacement of it (the loss where a probability is
    exactly 0, as in forests): "brier" is a loss that is always finite.
    """
    alone = np.eye(len(case.features), dtype=bool)
    return require_finite(case, -removal_effects(case, Marginal(background), alone))
