# SPDX-License-Identifier: Apache-2.0
"""Occlusion."""

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.summary import Design
from assay.engine.cost import coalitions
from assay.engine.declare import explainer
from assay.engine.removal.windows import fall_without, windows


@explainer(
    source="zeiler2014",
    claims={"dummy", "symmetric", "linear"},
    cost=coalitions(lambda case, o: Design(~windows(case, o.together))),
)
def occlusion(case: Case, *, remove: Removal = Constant(0.0), together: int = 1) -> Floats:
    """How much the target falls when a part, alone or with its neighbours, is removed.

    The mean of f(x) − v(N ∖ w) over the windows w that cover the part, in units of the target; one evaluation a window
    and row, nothing drawn, no base. ``together`` is the width N of a window (Occlusion-N of Ancona and others 2018):
    N × N parts of an image's grid, N in a row elsewhere, every position one step on. With 1 each part goes alone, which
    is ``leave_one_out``. The values do not add up to anything: of two parts that stand in for one another each gets 0
    unless a window holds both, of two that work only together each gets the whole. With windows a part that does
    nothing is given what its neighbours do.

    captum.Occlusion averages over windows, too, of elements; DeepExplain also divides by the window's size.
    """
    return fall_without(case, remove, windows(case, together))
