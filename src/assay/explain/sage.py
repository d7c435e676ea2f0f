# SPDX-License-Identifier: Apache-2.0
"""SAGE."""

from dataclasses import replace
from typing import Any

import numpy as np

from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.engine.coalitions.estimator import estimate_by_removal
from assay.engine.coalitions.leverage import shapley_estimator
from assay.engine.cost import against, summarised
from assay.engine.declare import explainer
from assay.engine.infinite_targets import require_finite
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.global_explanation import mean_over
from assay.nouns.results.result import Estimate


@explainer(
    source="covert2020",
    needs={"loss"},
    cost=against(summarised(lambda case, o: shapley_estimator(len(case.features), o.budget))),
)
def sage(case: Case, *, background: Any, budget: int = 2048) -> Estimate:
    """Shapley values of the reduction of the model's loss by each feature.

    Shapley values of v(S) = −loss(mean_b f(x_S, b_rest), y): the loss of the mean prediction, with the features outside
    S taken jointly from each row b of ``background``. The target is ``case.with_target("loss", truth)``; in units of
    the loss. ``.mean()`` is SAGE (Covert, Lundberg and Lee 2020) with its interval over rows; features that increase
    the loss are below 0. ``output`` is −loss at the row, the base is −loss with all features removed, and values add up
    to their difference exactly. All coalitions where 2^n fit in ``budget``, else complementary pairs as in ``shapley``,
    the same for all rows.

    ``extra["convergence"]`` is the largest standard error of the mean divided by the range of the means (the reference
    implementation stops below 0.025); NaN for one row or range 0. It decreases with more rows. The sage package draws
    rows and permutations again in each step.

    The loss −log p is infinite where the mean prediction is exactly 0 for the true class: ``NumericalError``. The
    target "brier" is finite there. scikit-learn's log_loss clips p to the precision of floats instead, so that one sure
    and wrong row counts 36.
    """
    require_finite(case, case.output[:, None])
    found = estimate_by_removal(
        case, Marginal(background), shapley_estimator(len(case.features), budget), budget, pooled=True
    )
    values, stderr = require_finite(case, -found.values), to_floats(found.stderr)
    mean = mean_over(values, stderr, case.features.names, np.ones(len(case), dtype=bool), None, 0.95)
    spread = np.ptp(mean.values)
    ratio = mean.stderr.max() / spread if spread > 0 else np.nan
    return replace(
        found, values=values, base=-found.base, output=-case.output, extra={"convergence": np.array([ratio])}
    )
