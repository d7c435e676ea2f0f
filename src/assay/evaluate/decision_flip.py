# SPDX-License-Identifier: Apache-2.0
"""How soon the decision flips."""

import numpy as np

from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.cost import curve
from assay.engine.declare import scorer
from assay.engine.removal.decision_flips import first_flip
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="serrano2019", better="lower", needs={"classes"}, cost=curve())
def decision_flip(explanation: Explanation, case: Case, *, remove: Removal = Constant(0.0), steps: int = 0) -> Estimate:
    """Share of the parts that must go, highest attribution first, until the model decides for another class, 0 … 1.

    Of the class explained, where the model predicts it (NaN elsewhere): the share gone at the first point of the
    deletion curve where it is predicted in less than half of the removal's fillings. 1 where that happens with the last
    part only, or not at all: extra["flipped"] tells which (1 or 0). ``steps`` is the number of removals (0: one part at
    a time), and so the finest share that can be told; ties fall in part order. Undefined where the explanation is.

    It asks for decisions, whatever the case's target, once for all explanations of the case that put parts in the same
    order; the deletion curve of another target is a question of its own, since a game keeps one number a row. Serrano
    and Smith remove attention weights and renormalise the others; here parts of the input go.

    >>> from assay import Constant, case, explain, model
    >>> votes = case(model.function(lambda x: 1 / (1 + np.exp(4.5 - x @ (3.0, 2.0, 1.0))), gives="probabilities"),
    ...     np.ones((1, 3)), target="probability")
    >>> decision_flip(explain.occlusion(votes), votes).values.round(3)      # 6 > 4.5 > 3
    array([0.333])
    """
    share = first_flip(explanation, case, remove, steps)
    flipped = np.where(np.isnan(share), np.nan, np.isfinite(share))
    return Estimate(np.minimum(share, 1.0), extra={"flipped": flipped})
