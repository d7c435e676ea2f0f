# SPDX-License-Identifier: Apache-2.0
"""RISE."""

from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.summary import bernoulli, removal
from assay.engine.cost import summarised
from assay.engine.declare import explainer
from assay.nouns.results.result import Estimate


@explainer(
    source="petsiuk2018",
    claims={"symmetric", "linear", "enumerable"},
    cost=summarised(lambda case, o: bernoulli(o.share)),
)
def rise(case: Case, *, remove: Removal = Constant(0.0), budget: int = 1024, share: float = 0.5) -> Estimate:
    """The mean target over random removals that keep the part.

    E[v(S) | i ∈ S], each part kept with probability ``share``; in units of the target, at the target's own level: only
    differences between parts mean anything, and a part that never matters gets the mean of v, not 0. There is no base.
    Exact, with standard error 0, when all 2^n coalitions fit in ``budget``; else the mean over ``budget`` random masks.
    A part kept by no mask is undefined (NaN).

    The paper draws masks on a coarse grid, enlarges them smoothly and shifts them; here masks are those of the case's
    parts. The paper's estimate divides by the expected count of masks that keep a part, here by the count itself, which
    takes away the noise of the count.
    """
    return removal(case, remove, bernoulli(share), budget)
