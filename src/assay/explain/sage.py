# SPDX-License-Identifier: Apache-2.0
"""SAGE."""

from dataclasses import replace
from typing import Any

import numpy as np

from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.engine.coalitions.leverage import affordable_shapley
from assay.engine.coalitions.summary import removal
from assay.engine.cost import against, summarised
from assay.engine.declare import explainer
from assay.engine.retraining.labelled_rows import finite
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.global_explanation import mean_over
from assay.nouns.results.result import Estimate


@explainer(
    source="covert2020",
    needs={"loss"},
    cost=against(summarised(lambda case, o: affordable_shapley(len(case.features), o.budget))),
)
def sage(case: Case, *, background: Any, budget: int = 2048) -> Estimate:
    """A part's fair share of what the model's knowledge of the row takes off its loss.

    Shapley values of v(S) = −loss(mean_b f(x_S, b_rest), y): the loss of the mean prediction, parts outside S taken
    together from each row b of ``background``. Ask ``case.with_target("loss", truth)``; in units of the loss. ``.mean()`` is
    SAGE (Covert, Lundberg and Lee 2020) with its interval over rows; parts that make the model worse are below 0.
    ``output`` is −loss at the row, base −loss with nothing known, and values add up to their difference exactly.
    All coalitions where 2^n fit in ``budget``, else complementary pairs as in ``shapley``, the same for all rows.

    ``extra["convergence"]`` is the largest standard error of the mean over the gap between the largest and the smallest
    mean (the reference's criterion: stop below .025, say); NaN for one row or no gap. It falls with more rows.
    The sage package draws rows and orders anew in each step.
    """
    finite(case, case.output[:, None])
    found = removal(case, Marginal(background), affordable_shapley(len(case.features), budget), budget, pooled=True)
    values, stderr = finite(case, -found.values), to_floats(found.stderr)
    mean = mean_over(values, stderr, case.features.names, np.ones(len(case), dtype=bool), None, 0.95)
    gap = np.ptp(mean.values)
    ratio = mean.stderr.max() / gap if gap > 0 else np.nan
    return replace(
        found, values=values, base=-found.base, output=-case.output, extra={"convergence": np.array([ratio])}
    )
