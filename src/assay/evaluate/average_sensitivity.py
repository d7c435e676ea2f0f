# SPDX-License-Identifier: Apache-2.0
"""Average sensitivity."""

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.neighbourhood import explained_near, relative_changes
from assay.engine.search.ball import Ball
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="bhatt2020", better="lower", needs={"numbers"}, cost=explained_near())
def average_sensitivity(explanation: Explanation, case: Case, *, ball: Ball, draws: int = 10) -> Estimate:
    """The average relative change of the explanation among random small moves of the input.

    Mean over ``draws`` points δ of ``ball`` of ‖φ(x + δ) − φ(x)‖ / ‖φ(x)‖, Euclidean over parts, 0 … ∞; 0 is best, 1
    means it moves by its own size. ``stderr`` is that of the mean over δ (NaN for one draw), so unlike the maximum it
    may be compared between numbers of draws. The label asked about stays; the draws, and the explanations remade there,
    are those of ``max_sensitivity``, after which this costs nothing. Undefined where φ(x) = 0.

    xplique.AverageStability moves by U(0, r), upwards only, and does not divide by ‖φ(x)‖.
    """
    change = relative_changes(explanation, case, ball, draws)
    stderr = change.std(axis=1, ddof=1) / np.sqrt(draws) if draws > 1 else np.full(len(case), np.nan)
    return Estimate(change.mean(axis=1), stderr, extra={"max": change.max(axis=1)})
