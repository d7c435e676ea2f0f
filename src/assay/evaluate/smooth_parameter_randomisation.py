# SPDX-License-Identifier: Apache-2.0
"""The smooth model parameter randomisation test."""

import numpy as np

from assay.cases.case import Case
from assay.engine.cost import explained_again
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.neighbourhood import neighbours
from assay.engine.retraining.randomised_weights import compared, staged, weights_lost_near
from assay.engine.retraining.randomised_weights import stages as stages_of
from assay.engine.search.ball import Ball
from assay.nouns.results.result import Estimate, Explanation


@scorer(
    source="hedstrom2024",
    better="lower",
    needs={"net", "numbers"},
    cost=explained_again(lambda case, o: o.draws * (1 + staged(case, o))),
)
def smooth_parameter_randomisation(
    explanation: Explanation,
    case: Case,
    *,
    ball: Ball,
    draws: int = 10,
    absolute: bool = True,
    cascade: bool = False,
    stages: int = 0,
) -> Estimate:
    """How alike the explanation stays, averaged over small moves first, when the net's weights are drawn afresh.

    Spearman correlation over parts, −1 … 1, low is best, between mean_δ φ(x + δ) of the net and of one whose every
    parameter has been drawn anew, with the same ``draws`` moves δ of ``ball``: noise of the gradient averages out of
    both, so that less of a low value is due to it. ``absolute`` compares magnitudes of the means, else signed means;
    extra tells both. ``cascade`` and ``stages`` are those of ``parameter_randomisation`` (the intact net is no stage).
    Undefined where either mean is constant. The intact net's explanations are those of ``max_sensitivity``.

    The paper and Quantus draw normal noise of their own, 50 draws; Quantus' average includes the intact net's 1.0.
    """
    near = [values for _, values in neighbours(explanation, case, ball, draws)]
    which = stages_of(case, cascade, stages)
    after = [np.mean(list(weights_lost_near(explanation, case, stage, ball, draws)), axis=0) for stage in which]
    return compared(np.mean(near, axis=0), after, case, which, absolute=absolute, cascade=cascade)
