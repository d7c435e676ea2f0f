# SPDX-License-Identifier: Apache-2.0
"""Quantitative input influence."""

from typing import Any

from assay.cases.case import Case
from assay.engine.coalitions.quantitative_input_influence import Index, priced, quantified
from assay.engine.declare import explainer
from assay.nouns.results.result import Estimate


@explainer(source="datta2016", claims={"dummy", "linear"}, cost=priced)
def qii(case: Case, *, comparison: Any, index: Index = "shapley", budget: int = 2048, folds: int = 10) -> Estimate:
    """How much a quantity of the model rests on a part: its change when the part is drawn from a comparison group.

    The quantity is the case's target: a score, ``target="decision"`` with the label of an outcome (who gets it), or
    with the label "predicted" (how often this row keeps its decision). An intervention on S takes the parts of S
    together from each row of ``comparison``, all rows, whatever goes with them: v(N ∖ S) is the mean quantity after it.
    "unary": v(N) − v(N ∖ i). "shapley" and "banzhaf": the part's mean gain over sets of the others, exact where 2^n fit
    in ``budget``; Shapley values add up to the quantity minus its mean in the comparison group, the base. Columns
    grouped into one part have the influence of the set. Groups of people: ``.mean(members)`` is the influence on their
    rate, ``.gap(members)`` on the gap between them and the others. In units of the target.

    ``stderr`` says how far the comparison group, as a sample, decides: from ``folds`` parts of it drawn at random, each
    with its own influence; the error of coalitions left out is added. ``extra["low"]``, ``extra["high"]``: Student's
    95 % interval. The answer is about the comparison: against those approved it is another question than against all.

    The authors' tool draws 600 orders and rows with replacement and gives no error.
    """
    return quantified(case, comparison, index, budget, folds)
