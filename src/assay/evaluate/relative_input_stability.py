# SPDX-License-Identifier: Apache-2.0
"""Relative input stability (RIS)."""

from assay.basics.types import Array, Floats, PerRow
from assay.cases.case import Case
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.neighbourhood import displacement, is_classifier, neighbourhood_cost, prediction_passes
from assay.engine.neighbourhoods.relative_stability import relative_change, relative_stability
from assay.engine.search.ball import Ball
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="agarwal2022", better="lower", needs={"numbers"}, cost=neighbourhood_cost(prediction_passes))
def relative_input_stability(
    explanation: Explanation, case: Case, *, ball: Ball, draws: int = 10, share: float = 0.01, floor: float = 1e-6
) -> Estimate:
    """Largest relative change of the explanation per relative change of the input, under small random perturbations.

    RIS = max_δ ‖(φ(x + δ) − φ(x)) / φ(x)‖ / max(‖δ / x‖, ``floor``), Euclidean norms of elementwise quotients; 0 … ∞, 0
    is best, usually reported as its logarithm. Quotients by nearly 0 are arbitrary: features and elements below
    ``share`` of their row's largest magnitude are excluded (extra["parts"] counts the features included). Draws that
    predict another class are excluded and counted in extra["flipped"]; extra["draws"] counts those included,
    extra["floored"] those of them where ``floor`` applied. Undefined where no draw is left, or where φ or x is 0.
    Perturbations are symmetric, those of ``max_sensitivity``; only their predictions need further model evaluations.

    With ``share=0`` it equals quantus.RelativeInputStability if nothing is 0 and no label flips. Quantus replaces
    x = 0 and φ = 0 by 1e-6, so that a black background dominates the score; its noise is positive only; one flipped
    draw makes a row NaN.
    """
    original = to_floats(case.rows.x).reshape(len(case), -1)
    relative = relative_change(original, share)

    def change(draw: int, x: Array, outputs: Floats) -> PerRow:
        return relative(original + displacement(case, x))

    return relative_stability(
        explanation, case, ball, draws, change, share=share, floor=floor, needs_outputs=is_classifier(case)
    )
