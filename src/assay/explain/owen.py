# SPDX-License-Identifier: Apache-2.0
"""Owen values of a removal game with groups of features."""

from typing import Any

import numpy as np

from assay.basics.types import Masks
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.coalition_structure import draw_orders, is_enumerable, owen_coalitions
from assay.engine.coalitions.estimator import Design
from assay.engine.coalitions.permutations import mean_contributions
from assay.engine.cost import Given, coalitions
from assay.engine.declare import explainer
from assay.nouns.inputs.hierarchy import FeatureTree, parse_groups, tree_leaves
from assay.nouns.results.result import Estimate


def _design(case: Case, o: Given) -> Design:
    nest, parts = parse_groups(o.groups, case.features.names), len(case.features)
    if is_enumerable(nest, o.budget):
        return Design(owen_coalitions(nest, parts)[0])
    return Design(_chains(case, nest, o.budget).reshape(-1, parts))


@explainer(
    source="owen1977", claims={"complete", "dummy", "symmetric", "linear", "enumerable"}, cost=coalitions(_design)
)
def owen(case: Case, *, groups: Any = (), remove: Removal = DEFAULT, budget: int = 2048) -> Estimate:
    """Shapley values with a coalition structure: the Shapley value of each group, distributed over its features.

    The mean of v(before i ∪ i) − v(before i) over all orders in which the members of every group are consecutive, in
    units of the target. ``groups`` is a mapping from group to feature names, or feature names nested in lists to any
    depth (Winter values of a hierarchy, which shap.PartitionExplainer approximates); ``nouns.hierarchy.hierarchy``
    nests columns by correlation. Features in no group are groups of one; without groups these are Shapley values. A
    group's sum, ``extra["groups"]`` (row, group) in the given order, single features last, is the group's Shapley value
    in the game of groups. Values add up to output − base, base = v(∅).

    Exact, with standard error 0, when the coalitions that occur (unions of whole other groups with subsets of the own
    group) fit in ``budget``: two groups of ten need 4,092, sixteen features nested two by two 172. Else estimated from
    random orders with consecutive groups, each with its reverse, with the standard error over such pairs.
    shap.PartitionExplainer spends its max_evals on the largest groups first and gives no error.
    """
    nest, parts, game = parse_groups(groups, case.features.names), len(case.features), case.game(remove)
    if is_enumerable(nest, budget):
        masks, weights = owen_coalitions(nest, parts)
        game_values = game.table(masks)
        found = Estimate(game_values @ weights, np.zeros((len(case), parts)), game_values[:, 0])
    else:
        chains = _chains(case, nest, budget)
        found = mean_contributions(chains, game.table(chains.reshape(-1, parts)))
    assert isinstance(nest, tuple)
    sums = np.stack([found.values[:, tree_leaves(member)].sum(axis=1) for member in nest], axis=1)
    return Estimate(found.values, found.stderr, found.base, extra={"groups": sums})


def _chains(case: Case, nest: FeatureTree, budget: int) -> Masks:
    return draw_orders(nest, len(case.features), budget, case.seed.child("owen"))
