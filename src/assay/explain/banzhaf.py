# SPDX-License-Identifier: Apache-2.0
"""Banzhaf values of a removal game."""

from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.budget import within
from assay.engine.coalitions.sample_reuse import affordable_banzhaf
from assay.engine.cost import summarised
from assay.engine.declare import explainer
from assay.nouns.results.result import Estimate


@explainer(
    source="banzhaf1965",
    claims={"dummy", "symmetric", "linear", "enumerable"},
    cost=summarised(lambda case, o: affordable_banzhaf(len(case.features), o.budget)),
)
def banzhaf(
    case: Case, *, remove: Removal = Constant(0.0), budget: int = 2048, tolerance: float | None = None
) -> Estimate:
    """What a part adds, on average over all coalitions of the other parts, each equally likely.

    β_i = Σ_{S∌i} (v(S ∪ i) − v(S)) / 2^(n−1), in units of the target. Unlike Shapley values they do not add up to
    output − base, and there is no base; they are steadier when v is noisy. Exact, with standard error 0, when all 2^n
    coalitions fit in ``budget``; else the mean of v over masks with the part minus the mean over masks without it
    (maximum sample reuse, Wang and Jia 2023), from complementary pairs drawn without replacement, so that the part of v
    that a set shares with its complement cancels. Estimated, an idle part is near 0 within its standard error.

    With ``tolerance``, a standard error in units of the target, each row stops at the first of ``budget``/2^k, …,
    ``budget`` coalitions (at least 64) that keeps all parts within it; a note names rows that never got there, and
    extra["evaluations"] says what each took.
    """
    return within(case, remove, affordable_banzhaf, budget, tolerance, least=4 * len(case.features))
