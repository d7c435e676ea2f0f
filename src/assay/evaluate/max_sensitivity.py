# SPDX-License-Identifier: Apache-2.0
"""Max-sensitivity."""

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.neighbourhood import explained_near, relative_changes
from assay.engine.search.ball import Ball
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="yeh2019", better="lower", needs={"numbers"}, cost=explained_near())
def max_sensitivity(explanation: Explanation, case: Case, *, ball: Ball, draws: int = 10) -> Estimate:
    """The largest relative change of the explanation among random small moves of the input.

    max_δ ‖φ(x + δ) − φ(x)‖ / ‖φ(x)‖, Euclidean over parts, with ``draws`` points δ uniform in ``ball`` around each row,
    the same for all methods of a case; 0 is best, 1 means it moves by its own size. extra["mean"] is the average over
    the draws and extra["mean stderr"] its standard error. The label asked about stays; explainers that sample reuse
    their draws, so their noise is not counted. Undefined where φ(x) = 0. ``ball`` is in the units of the rows.

    The maximum grows with ``draws`` and is a lower bound of the worst case (attacks search for that): compare equal
    ``draws`` only. An explanation that ignores the model can score 0. captum.sensitivity_max moves by up to 0.02
    in every element whatever the units.
    """
    change = relative_changes(explanation, case, ball, draws)
    stderr = change.std(axis=1, ddof=1) / np.sqrt(draws) if draws > 1 else np.full(len(case), np.nan)
    return Estimate(change.max(axis=1), extra={"mean": change.mean(axis=1), "mean stderr": stderr})
