# SPDX-License-Identifier: Apache-2.0
"""Relative output stability."""

import numpy as np

from assay.basics.types import Array, Floats, PerRow
from assay.cases.case import Case
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.neighbourhood import explained_near
from assay.engine.neighbourhoods.relative_stability import relative_stability
from assay.engine.search.ball import Ball
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="agarwal2022", better="lower", needs={"numbers"}, cost=explained_near(lambda case, o: 1))
def relative_output_stability(
    explanation: Explanation, case: Case, *, ball: Ball, draws: int = 10, share: float = 0.01, floor: float = 1e-6
) -> Estimate:
    """The largest relative change of the explanation for a change of the model's outputs, among small moves.

    ROS = max_δ ‖(φ(x + δ) − φ(x)) / φ(x)‖ / max(‖h(x + δ) − h(x)‖, ``floor``) with h all outputs as the model gives
    them: logits of a net, raw scores of boosted trees, probabilities of other classifiers; not relative, as in the
    paper. Per unit of these; 0 … ∞, 0 is best. Where the outputs hardly move the score is large: extra["floored"]
    counts the draws that met ``floor``. Parts below ``share`` of their row's largest magnitude are left out, and draws
    at which another class is predicted (extra["flipped"]). Undefined where no draw is left or φ is 0. Draws are those
    of ``max_sensitivity``; only the outputs there are asked for beside.

    One flipped draw makes a row NaN in Quantus, whose noise only adds and which puts 1e-6 for φ = 0.
    """

    def change(draw: int, x: Array, outputs: Floats) -> PerRow:
        return np.linalg.norm(outputs - case.prediction, axis=1)

    return relative_stability(explanation, case, ball, draws, change, share=share, floor=floor, looked=True)
