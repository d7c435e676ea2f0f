# SPDX-License-Identifier: Apache-2.0
"""Max-sensitivity."""

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.neighbourhood import neighbourhood_cost, relative_changes
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Check
from assay.nouns.results.result import Estimate, Explanation


@scorer(
    source="yeh2019",
    better="lower",
    needs={"numbers"},
    cost=neighbourhood_cost(),
    checks=(
        Check(
            "STA301",
            "Does the explanation stay stable under small perturbations of the input?",
            "Average it over noise (smooth_grad), smooth the model (repair.smoothing), or report its variability.",
            1.0,
            "at most",
            claim="largest relative change {estimate:.2f} under small perturbations of the input",
            severe=5.0,
        ),
    ),
)
def max_sensitivity(explanation: Explanation, case: Case, *, ball: Ball, draws: int = 10) -> Estimate:
    """Largest relative change of the explanation under small random perturbations of the input.

    max_δ ‖φ(x + δ) − φ(x)‖ / ‖φ(x)‖, Euclidean over features, with ``draws`` points δ uniform in ``ball`` around each
    row, the same for all methods of a case. 0 is best, 1 is a change as large as the explanation itself. extra["mean"]
    is the mean over the draws, extra["mean stderr"] its standard error. The label stays the same; explainers that
    sample reuse their seed, so that their noise is not counted. Undefined where φ(x) = 0. ``ball`` is in the units of
    the rows.

    The maximum grows with ``draws`` and is a lower bound of the worst case (attacks search for it): compare only equal
    ``draws``. An explanation that ignores the model can score 0. captum.sensitivity_max perturbs every element by up to
    0.02 whatever the units.
    """
    change = relative_changes(explanation, case, ball, draws)
    stderr = change.std(axis=1, ddof=1) / np.sqrt(draws) if draws > 1 else np.full(len(case), np.nan)
    return Estimate(change.max(axis=1), extra={"mean": change.mean(axis=1), "mean stderr": stderr})
