# SPDX-License-Identifier: Apache-2.0
"""Relative input stability."""

from assay.basics.types import Array, Floats, PerRow
from assay.cases.case import Case
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.neighbourhood import classifies, distance, explained_near, looked_at_labels
from assay.engine.neighbourhoods.relative_stability import relative_stability, relative_to
from assay.engine.search.ball import Ball
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="agarwal2022", better="lower", needs={"numbers"}, cost=explained_near(looked_at_labels))
def relative_input_stability(
    explanation: Explanation, case: Case, *, ball: Ball, draws: int = 10, share: float = 0.01, floor: float = 1e-6
) -> Estimate:
    """The largest relative change of the explanation for a relative change of the input, among small moves.

    RIS = max_δ ‖(φ(x + δ) − φ(x)) / φ(x)‖ / max(‖δ / x‖, ``floor``), Euclidean norms of quotients part by part and
    element by element; 0 … ∞, 0 is best, usually told as its logarithm. A quotient by nearly nothing says nothing:
    parts and elements below ``share`` of their row's largest magnitude are left out (extra["parts"] counts the parts
    that are in). Draws at which another class is predicted are left out and counted, extra["flipped"]; extra["draws"]
    are those left, extra["floored"] how many of them met ``floor``. Undefined where no draw is left, or where φ or x
    is 0. Draws are symmetric, those of ``max_sensitivity``; only the prediction there is asked for beside.

    With ``share=0`` it is quantus.RelativeInputStability where nothing is 0 and no label flips. That puts 1e-6 for x =
    0 and for φ = 0, so that a black background decides; its noise only adds; one flipped draw makes a row NaN.
    """
    here = to_floats(case.rows.x).reshape(len(case), -1)
    relative = relative_to(here, share)

    def change(draw: int, x: Array, outputs: Floats) -> PerRow:
        return relative(here + distance(case, x))

    return relative_stability(explanation, case, ball, draws, change, share=share, floor=floor, looked=classifies(case))
