# SPDX-License-Identifier: Apache-2.0
"""Shapley interaction values of trees."""

from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.cases.case import Case
from assay.engine.cost import free
from assay.engine.declare import explainer
from assay.engine.trees.tree_case import NOT_LINEAR, forest_of, tree_game
from assay.nouns.results.result import Estimate


@explainer(source="lundberg2020", needs={"trees"}, claims={"complete"}, cost=free)
def tree_interactions(case: Case, *, background: Any = None) -> Estimate:
    """Shapley interaction values of all pairs of features, exact for tree ensembles.

    ``extra["interactions"]`` (row, part, part) is symmetric. Off the diagonal is half the Shapley interaction index,
    ½ Σ_S |S|! (n − |S| − 2)! / (n − 1)! · (v(S ∪ ij) − v(S ∪ i) − v(S ∪ j) + v(S)); on it the feature's main effect,
    which is its Shapley value minus its row's other entries. ``values`` are the sums over the second feature: the
    Shapley values. All in units of the target, which must be a weighted sum of the trees' outputs; v and ``background``
    are those of ``tree_shapley``.

    shap's interventional explainer returns 0 for all interaction values; here they are computed.
    """
    game = tree_game(case, background)
    if game is None:
        text = NOT_LINEAR.format(target=case.target.name, name=case.model.name, gives=forest_of(case).gives)
        raise CapabilityError(f"{text} explain.interactions accepts any target.")
    values, pairs = game.shapley(), game.interactions() / 2
    part = np.arange(pairs.shape[1])
    pairs[:, part, part] = values - pairs.sum(axis=2)
    return Estimate(values, base=game.empty, extra={"interactions": pairs})
