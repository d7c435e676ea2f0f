# SPDX-License-Identifier: Apache-2.0
"""Quantitative input influence."""

from typing import Any

from assay.cases.case import Case
from assay.engine.coalitions.quantitative_input_influence import InfluenceIndex, estimate_influence, influence_cost
from assay.engine.declare import explainer
from assay.nouns.results.result import Estimate


@explainer(source="datta2016", claims={"dummy", "linear"}, cost=influence_cost)
def qii(
    case: Case, *, comparison: Any, index: InfluenceIndex = "shapley", budget: int = 2048, folds: int = 10
) -> Estimate:
    """The change of a quantity of the model when a feature is replaced by that of rows of a comparison group.

    The quantity is the case's target: a score, ``target="decision"`` with the label of an outcome (the rate of that
    outcome), or with the label "predicted" (how often this row keeps its decision). An intervention on S replaces the
    features of S jointly by those of each row of ``comparison``, all rows, independently of the other features:
    v(N ∖ S) is the mean quantity after it. "unary": v(N) − v(N ∖ i). "shapley" and "banzhaf": the feature's mean
    contribution over sets of the others, exact where 2^n fit in ``budget``; Shapley values add up to the quantity minus
    its mean in the comparison group, the base. Columns grouped into one feature have the influence of the set. For
    groups of people ``.mean(members)`` is the influence on their rate, ``.gap(members)`` on the gap between them and
    the others. In units of the target.

    ``stderr`` is the sampling error of the comparison group, from the influences in ``folds`` random folds of it, plus
    the error of coalitions that were not evaluated. ``extra["low"]``, ``extra["high"]``: Student's 95 % interval. The
    values depend on the comparison: those against approved rows differ from those against all rows.

    The authors' tool draws 600 permutations and rows with replacement and gives no error.
    """
    return estimate_influence(case, comparison, index, budget, folds)
