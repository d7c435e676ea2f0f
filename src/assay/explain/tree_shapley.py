# SPDX-License-Identifier: Apache-2.0
"""Shapley values of trees."""

from typing import Any

from assay.basics.errors import CapabilityError
from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.engine.coalitions.leverage import affordable_shapley
from assay.engine.coalitions.summary import removal
from assay.engine.cost import Given, summarised
from assay.engine.declare import explainer
from assay.engine.trees.tree_case import NOT_LINEAR, forest_of, linear_readout, tree_game
from assay.nouns.catalogue import Cost
from assay.nouns.results.result import Estimate


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    if o.background is None or linear_readout(case, forest_of(case)) is not None:
        return Cost()
    o.remove = Marginal(o.background)
    return summarised(lambda case, o: affordable_shapley(len(case.features), o.budget))(case, o, again)


@explainer(source="lundberg2020", needs={"trees"}, claims={"complete"}, cost=_cost)
def tree_shapley(case: Case, *, background: Any = None, budget: int = 2048) -> Estimate:
    """Each part's fair share of the target's rise from everything removed to everything kept, exact for trees.

    Without a background v(S) follows the row where a tree asks about a part of S and both ways elsewhere, weighted by
    the training rows that went there (path-dependent, Lundberg and others 2020); with one, absent parts come from its
    rows, all of them, and v is the mean (interventional): what ``shapley`` gives with ``Marginal(background)``,
    without asking the model. In units of the target; the values add up to output − base to rounding, in float64.
    Several columns made from one element (one-hot codes in a pipeline), or grouped into one part, act as one player.

    The trees' sum is meant: the raw score of boosted trees, the probability of a scikit-learn forest. A target that is
    no weighted sum of it (probability of boosted trees, decision, log-odds of a forest) has another game, whose values
    cannot be had tree by tree: it needs a background, and costs passes of the model as ``shapley`` does with
    ``budget`` coalitions, exact where 2^n fit, else with standard errors. Values of the score say little of decisions.

    shap.TreeExplainer differs: it cuts backgrounds to 100 rows, sums in float32, and for model_output="probability"
    rescales each background row's values, which are then not Shapley values of the probability's game.
    """
    game = tree_game(case, background)
    if game is not None:
        return Estimate(game.shapley(), base=game.empty)
    if background is None:
        told = NOT_LINEAR.format(target=case.target.name, name=case.model.name, gives=forest_of(case).gives)
        raise CapabilityError(told)
    return removal(case, Marginal(background), affordable_shapley(len(case.features), budget), budget)
