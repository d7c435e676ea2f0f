# SPDX-License-Identifier: Apache-2.0
"""Remove and debias (ROAD)."""

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.removals import NoisyLinear, Removal
from assay.engine.cost import shares
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import perturbation_points
from assay.nouns.results.result import Explanation


@scorer(source="rong2022", better="lower", needs={"image"}, cost=shares())
def road(
    explanation: Explanation,
    case: Case,
    *,
    remove: Removal = NoisyLinear(0.01),
    shares: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9),
) -> PerRow:
    """Mean of the target as the highest features are replaced by a noisy linear interpolation of their neighbours.

    Mean over the shares q of v(all but the ⌈q · n⌉ highest features), in units of the target, with removed pixels
    filled by ``NoisyLinear``. This fill reveals less about *which* pixels are removed than a constant: a net cannot
    infer the class from the shape of the mask. Needs images. With few features several shares select the same features,
    which then weigh more. Undefined where the explanation has a NaN. The interpolation is smooth, so explanations of
    smooth regions score too well.

    The paper and quantus.ROAD report accuracy over rows; this is the target of each row. quantus.ROAD uses the first
    batch of rows only. For the opposite order negate the explanation.
    """
    return perturbation_points(explanation, case, remove, shares).mean(axis=1)
