# SPDX-License-Identifier: Apache-2.0
"""Smooth model parameter randomisation test (sMPRT)."""

import numpy as np

from assay.cases.case import Case
from assay.engine.cost import explained_again
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.neighbourhood import explain_neighbours
from assay.engine.retraining.randomised_weights import compare_stages, count_stages, explain_randomised_near
from assay.engine.retraining.randomised_weights import randomisation_stages as stages_of
from assay.engine.search.ball import Ball
from assay.nouns.results.result import Estimate, Explanation


@scorer(
    source="hedstrom2024",
    better="lower",
    needs={"net", "numbers"},
    cost=explained_again(lambda case, o: o.draws * (1 + count_stages(case, o))),
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
    """Rank correlation of noise-averaged explanations before and after weight randomisation.

    Spearman correlation over features, −1 … 1, low is best, between mean_δ φ(x + δ) of the net and of a net with all
    parameters randomised, with the same ``draws`` perturbations δ of ``ball``. Averaging removes gradient noise from
    both, so that a low value is less due to noise. ``absolute`` compares magnitudes of the means, else signed means;
    extra has both. ``cascade`` and ``stages`` are those of ``parameter_randomisation`` (the original net is not a
    stage). Undefined where either mean is constant. The original net's explanations are those of ``max_sensitivity``.

    The paper and Quantus use 50 draws of normal noise; Quantus includes the original net's correlation of 1 in the
    mean.
    """
    before = [values for _, values in explain_neighbours(explanation, case, ball, draws)]
    which = stages_of(case, cascade, stages)
    after = [np.mean(list(explain_randomised_near(explanation, case, stage, ball, draws)), axis=0) for stage in which]
    return compare_stages(np.mean(before, axis=0), after, case, which, absolute=absolute, cascade=cascade)
