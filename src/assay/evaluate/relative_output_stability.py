# SPDX-License-Identifier: Apache-2.0
"""Relative output stability (ROS)."""

import numpy as np

from assay.basics.types import Array, Floats, PerRow
from assay.cases.case import Case
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.neighbourhood import neighbourhood_cost
from assay.engine.neighbourhoods.relative_stability import relative_stability
from assay.engine.search.ball import Ball
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="agarwal2022", better="lower", needs={"numbers"}, cost=neighbourhood_cost(lambda case, o: 1))
def relative_output_stability(
    explanation: Explanation, case: Case, *, ball: Ball, draws: int = 10, share: float = 0.01, floor: float = 1e-6
) -> Estimate:
    """Largest relative change of the explanation per change of the model's outputs, under small random perturbations.

    ROS = max_δ ‖(φ(x + δ) − φ(x)) / φ(x)‖ / max(‖h(x + δ) − h(x)‖, ``floor``), h being all outputs of the model: logits
    of a net, raw scores of boosted trees, probabilities of other classifiers. The denominator is not relative, as in
    the paper. Per unit of these outputs; 0 … ∞, 0 is best. Where the outputs hardly change the score is large:
    extra["floored"] counts the draws where ``floor`` applied. Features below ``share`` of their row's largest magnitude
    are excluded, and draws that predict another class (extra["flipped"]). Undefined where no draw is left or φ is 0.
    Perturbations are those of ``max_sensitivity``; only their outputs need further model evaluations.

    Quantus gives NaN for a row with one flipped draw, adds positive noise only, and replaces φ = 0 by 1e-6.
    """

    def change(draw: int, x: Array, outputs: Floats) -> PerRow:
        return np.linalg.norm(outputs - case.prediction, axis=1)

    return relative_stability(explanation, case, ball, draws, change, share=share, floor=floor, needs_outputs=True)
