# SPDX-License-Identifier: Apache-2.0
"""Share of features removed until the predicted class changes."""

import numpy as np

from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.cost import curve
from assay.engine.declare import scorer
from assay.engine.removal.decision_flips import first_flip
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="serrano2019", better="lower", needs={"classes"}, cost=curve())
def decision_flip(explanation: Explanation, case: Case, *, remove: Removal = DEFAULT, steps: int = 0) -> Estimate:
    """Share of the features that must be removed, highest attribution first, until the predicted class changes, 0 … 1.

    It is the share removed at the first point of the deletion curve where the explained class is predicted in less than
    half of the removal's fillings; NaN where the model does not predict that class at the row. 1 where this happens
    only with the last feature, or never: extra["flipped"] is 1 or 0. ``steps`` is the number of removals (0: one
    feature at a time) and so limits the resolution; ties are broken by feature order. Undefined where the explanation
    has a NaN.

    The evaluated target is the decision, whatever the target of the case; evaluations are shared by all explanations of
    the case with the same ranking, but not with the deletion curve of another target. Serrano and Smith remove
    attention weights and renormalise the others; here input features are removed.

    >>> from assay import Constant, case, explain, model
    >>> votes = case(model.function(lambda x: 1 / (1 + np.exp(4.5 - x @ (3.0, 2.0, 1.0))), gives="probabilities"),
    ...     np.ones((1, 3)), target="probability")
    >>> zero = Constant(0.0)
    >>> decision_flip(explain.occlusion(votes, remove=zero), votes, remove=zero).values.round(3)      # 6 > 4.5 > 3
    array([0.333])
    """
    share = first_flip(explanation, case, remove, steps)
    flipped = np.where(np.isnan(share), np.nan, np.isfinite(share))
    return Estimate(np.minimum(share, 1.0), extra={"flipped": flipped})
