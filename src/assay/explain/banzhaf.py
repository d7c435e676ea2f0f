# SPDX-License-Identifier: Apache-2.0
"""Banzhaf values of a removal game."""

from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.budget import estimate_to_tolerance
from assay.engine.coalitions.sample_reuse import banzhaf_estimator
from assay.engine.cost import summarised
from assay.engine.declare import explainer
from assay.nouns.results.result import Estimate


@explainer(
    source="banzhaf1965",
    claims={"dummy", "symmetric", "linear", "enumerable"},
    cost=summarised(lambda case, o: banzhaf_estimator(len(case.features), o.budget)),
)
def banzhaf(case: Case, *, remove: Removal = DEFAULT, budget: int = 2048, tolerance: float | None = None) -> Estimate:
    """The mean contribution of a feature over all coalitions of the other features, each with equal weight.

    β_i = Σ_{S∌i} (v(S ∪ i) − v(S)) / 2^(n−1), in units of the target. Unlike Shapley values they do not add up to
    output − base, and there is no base; they vary less when v is noisy. Exact, with standard error 0, when all 2^n
    coalitions fit in ``budget``; else the mean of v over masks with the feature minus the mean over masks without it
    (maximum sample reuse, Wang and Jia 2023), from complementary pairs drawn without replacement, which cancel the
    component of v that a set shares with its complement. An estimated value of a feature without effect is 0 within its
    standard error.

    With ``tolerance``, a standard error in units of the target, each row stops at the first of ``budget``/2^k, …,
    ``budget`` coalitions (at least 64) at which all features are within it; a note names rows that exceed it at the
    full budget, and extra["evaluations"] is the number of coalitions of each row.
    """
    return estimate_to_tolerance(case, remove, banzhaf_estimator, budget, tolerance, least=4 * len(case.features))
