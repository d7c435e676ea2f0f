# SPDX-License-Identifier: Apache-2.0
"""Shapley values from random permutations."""

from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.budget import estimate_to_tolerance
from assay.engine.coalitions.permutations import permutations
from assay.engine.cost import summarised
from assay.engine.declare import explainer
from assay.nouns.results.result import Estimate


@explainer(source="castro2009", claims={"complete", "dummy", "linear"}, cost=summarised(lambda case, o: permutations))
def permutation_shapley(
    case: Case, *, remove: Removal = DEFAULT, budget: int = 2048, tolerance: float | None = None
) -> Estimate:
    """Shapley values estimated as each feature's mean contribution when features are added in random order.

    φ_i = E[v(before i ∪ i) − v(before i)] over permutations, in units of the target; an unbiased estimate of the
    Shapley value. Permutations are drawn in antithetic pairs, each with its reverse (Mitchell and others 2022), as many
    as fit in ``budget`` evaluations per row. Values add up to output − base exactly for any draw, and a feature without
    effect gets exactly 0. ``stderr`` is over pairs. ``shapley`` is exact with few features and has a smaller error for
    the same budget with many.

    ``tolerance``: the largest standard error allowed, in units of the target. Each row starts with a fraction of
    ``budget`` (at least eight pairs of permutations) and doubles it until all features are within it, or the budget is
    spent (a note); extra["evaluations"] counts coalitions.

    shap.PermutationExplainer makes the same estimate, from the permutations that fit in its max_evals.
    """
    least = 16 * (len(case.features) - 1) + 2
    return estimate_to_tolerance(case, remove, lambda parts, some: permutations, budget, tolerance, least)
