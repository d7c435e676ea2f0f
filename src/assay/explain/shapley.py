# SPDX-License-Identifier: Apache-2.0
"""Shapley values of a removal game."""

from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.declare import explainer
from assay.engine.price import summarised
from assay.engine.summary import Summary, enumerated, exact_shapley, paired_leverage, removal
from assay.nouns.result import Estimate


def _summary(parts: int, budget: int) -> Summary:
    return exact_shapley if enumerated(parts, budget) else paired_leverage


@explainer(
    source="shapley1953",
    claims={"complete", "dummy", "symmetric", "linear", "enumerable"},
    price=summarised(lambda case, o: _summary(len(case.features), o.budget)),
)
def shapley(case: Case, *, remove: Removal = Constant(0.0), budget: int = 2048) -> Estimate:
    """Each part's fair share of the target's rise from everything removed to everything kept.

    φ_i = Σ_{S∌i} |S|! (n − |S| − 1)! / n! · (v(S ∪ i) − v(S)), in units of the target; the values add up to
    output − base with base = v(∅). Exact, with standard error 0, when all 2^n coalitions fit in ``budget``; else
    estimated from complementary pairs drawn without replacement by leverage score (Musco and Witter 2025), solved by
    least squares under the sum constraint. ``budget`` counts coalitions a row; one coalition costs as many forward
    passes as the removal has fillings. ``stderr`` speaks of the coalitions left out, not of the background's size.

    shap.KernelExplainer differs: it keeps ten features by default, cuts backgrounds to 100 rows and reports no error;
    captum.KernelShap draws with replacement.
    """
    return removal(case, remove, _summary(len(case.features), budget), budget)
