# SPDX-License-Identifier: Apache-2.0
"""Shapley values from random orders of joining."""

from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.budget import within
from assay.engine.coalitions.permutations import permutations
from assay.engine.cost import summarised
from assay.engine.declare import explainer
from assay.nouns.results.result import Estimate


@explainer(source="castro2009", claims={"complete", "dummy", "linear"}, cost=summarised(lambda case, o: permutations))
def permutation_shapley(
    case: Case, *, remove: Removal = Constant(0.0), budget: int = 2048, tolerance: float | None = None
) -> Estimate:
    """Each part's fair share of the target's rise, estimated as its mean gain when parts join in random order.

    φ_i = E[v(before i ∪ i) − v(before i)] over orders, in units of the target; an unbiased estimate of the Shapley
    value. Orders come in antithetic pairs, each with its reverse (Mitchell and others 2022), as many as ``budget``
    evaluations a row pay for. Values add up to output − base exactly, whatever was drawn, and an idle part gets exactly
    0. ``stderr`` is over pairs. With few parts ``shapley`` is exact, with many it errs less for the same budget.

    ``tolerance``: the largest standard error allowed, in units of the target. Each row begins with a fraction of
    ``budget`` (at least eight pairs of orders) and doubles it until all parts are within, or all is spent (a note);
    extra["evaluations"] counts coalitions.

    shap.PermutationExplainer makes the same estimate, from the orders that its max_evals pays for.
    """
    least = 16 * (len(case.features) - 1) + 2
    return within(case, remove, lambda parts, some: permutations, budget, tolerance, least)
