# SPDX-License-Identifier: Apache-2.0
"""Shapley values of trees."""

from typing import Any

from assay.basics.errors import CapabilityError
from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.engine.coalitions.estimator import estimate_by_removal
from assay.engine.coalitions.leverage import shapley_estimator
from assay.engine.cost import Given, summarised
from assay.engine.declare import explainer
from assay.engine.trees.tree_case import NOT_LINEAR, forest_of, linear_readout, tree_game
from assay.nouns.catalogue import Cost
from assay.nouns.results.result import Estimate


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    if o.background is None or linear_readout(case, forest_of(case)) is not None:
        return Cost()
    o.remove = Marginal(o.background)
    return summarised(lambda case, o: shapley_estimator(len(case.features), o.budget))(case, o, again)


@explainer(source="lundberg2020", needs={"trees"}, claims={"complete"}, cost=_cost)
def tree_shapley(case: Case, *, background: Any = None, budget: int = 2048) -> Estimate:
    """Shapley values of a tree ensemble, exact and computed from the trees.

    Without a background v(S) follows the row at splits on a feature of S and averages both branches elsewhere, weighted
    by their training rows (path-dependent, Lundberg and others 2020); with one, absent features are taken from all its
    rows and v is the mean (interventional): the same values as ``shapley`` with ``Marginal(background)``, without
    evaluating the model. In units of the target; the values add up to output − base to rounding, in float64. Several
    columns made from one element (one-hot codes in a pipeline), or grouped into one feature, are one player.

    The trees' sum is explained: the raw score of boosted trees, the probability of a scikit-learn forest. A target that
    is not a weighted sum of it (probability of boosted trees, decision, log-odds of a forest) has another game, whose
    values are no sum over trees: it needs a background, and costs evaluations of the model as ``shapley`` does with
    ``budget`` coalitions, exact where 2^n fit, else with standard errors. Values of the raw score need not agree with
    those of the decision.

    shap.TreeExplainer differs: it cuts backgrounds to 100 rows, sums in float32, and for model_output="probability"
    rescales each background row's values, so they are not the Shapley values of the probability. CatBoost's own values
    of trees that are not symmetric differ where a path splits on a feature twice; XGBoost's lose digits on paths over
    many features (0.005 at depth 36, where these agree with rational numbers to 4e-16).
    """
    game = tree_game(case, background)
    if game is not None:
        return Estimate(game.shapley(), base=game.empty)
    if background is None:
        text = NOT_LINEAR.format(target=case.target.name, name=case.model.name, gives=forest_of(case).gives)
        raise CapabilityError(text)
    return estimate_by_removal(case, Marginal(background), shapley_estimator(len(case.features), budget), budget)
