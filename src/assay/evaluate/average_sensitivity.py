# SPDX-License-Identifier: Apache-2.0
"""Average sensitivity."""

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.neighbourhood import neighbourhood_cost, relative_changes
from assay.engine.search.ball import Ball
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="bhatt2020", better="lower", needs={"numbers"}, cost=neighbourhood_cost())
def average_sensitivity(explanation: Explanation, case: Case, *, ball: Ball, draws: int = 10) -> Estimate:
    """Mean relative change of the explanation under small random perturbations of the input.

    Mean over ``draws`` points δ of ``ball`` of ‖φ(x + δ) − φ(x)‖ / ‖φ(x)‖, Euclidean over features, 0 … ∞; 0 is best,
    1 is a change as large as the explanation itself. ``stderr`` is that of the mean over δ (NaN for one draw), so that,
    unlike the maximum, values with different ``draws`` are comparable. The label stays the same. Perturbations and
    explanations are those of ``max_sensitivity``, after which this needs no model evaluations. Undefined where
    φ(x) = 0.

    xplique.AverageStability differs: it perturbs by U(0, r), upwards only, and does not divide by ‖φ(x)‖.
    """
    change = relative_changes(explanation, case, ball, draws)
    stderr = change.std(axis=1, ddof=1) / np.sqrt(draws) if draws > 1 else np.full(len(case), np.nan)
    return Estimate(change.mean(axis=1), stderr, extra={"max": change.max(axis=1)})
