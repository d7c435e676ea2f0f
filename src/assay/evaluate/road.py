# SPDX-License-Identifier: Apache-2.0
"""Remove and debias."""

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.removals import NoisyLinear, Removal
from assay.engine.cost import shares
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import ordered_points
from assay.nouns.results.result import Explanation


@scorer(source="rong2022", better="lower", needs={"image"}, cost=shares())
def road(
    explanation: Explanation,
    case: Case,
    *,
    remove: Removal = NoisyLinear(0.01),
    shares: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9),
) -> PerRow:
    """Mean of the target as the highest parts give way to a noisy guess from their neighbours.

    Mean over the shares q of v(all but the ⌈q · n⌉ highest parts), in units of the target, with removed pixels filled
    by ``NoisyLinear``, which leaves less of a trace of *what* was removed than a constant: a net cannot read the class
    off the shape of the hole. Needs images. With few parts several shares name the same parts and so weigh more.
    Undefined where the explanation is. A guess from neighbours is smooth, so explanations of smooth regions are judged
    too kindly.

    The paper and quantus.ROAD report accuracy over rows where this has the target of each; the latter keeps the first
    batch of rows only. For the other order give the explanation with its sign changed.
    """
    return ordered_points(explanation, case, remove, shares).mean(axis=1)
