# SPDX-License-Identifier: Apache-2.0
"""Occlusion."""

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.estimator import Design
from assay.engine.cost import coalitions
from assay.engine.declare import explainer
from assay.engine.removal.windows import removal_effects, sliding_windows


@explainer(
    source="zeiler2014",
    claims={"dummy", "symmetric", "linear"},
    cost=coalitions(lambda case, o: Design(~sliding_windows(case, o.together))),
)
def occlusion(case: Case, *, remove: Removal = DEFAULT, together: int = 1) -> Floats:
    """The decrease of the target when a feature, alone or with its neighbours, is removed.

    The mean of f(x) − v(N ∖ w) over the windows w that cover the feature, in units of the target; one evaluation per
    window and row, deterministic, no base. ``together`` is the width N of a window (Occlusion-N of Ancona and others
    2018): N × N features of an image's grid, N consecutive features elsewhere, stride 1. With 1 each feature is removed
    alone, which is ``leave_one_out``. Values have no completeness: of two redundant features each gets 0 unless a
    window covers both, of two features that have an effect only together each gets the whole effect. With windows a
    feature without effect gets the effect of its neighbours.

    captum.Occlusion also averages over windows, of elements; DeepExplain divides by the window's size, too.
    """
    return removal_effects(case, remove, sliding_windows(case, together))
