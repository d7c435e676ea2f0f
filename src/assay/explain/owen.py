# SPDX-License-Identifier: Apache-2.0
"""Owen values of a removal game whose players come in groups."""

from typing import Any

import numpy as np

from assay.basics.types import Masks
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.coalition_structure import all_coalitions, listed, orders
from assay.engine.coalitions.permutations import mean_gains
from assay.engine.coalitions.summary import Design
from assay.engine.cost import Given, coalitions
from assay.engine.declare import explainer
from assay.nouns.inputs.hierarchy import Nest, leaves, nested
from assay.nouns.results.result import Estimate


def _asked(case: Case, o: Given) -> Design:
    nest, parts = nested(o.groups, case.features.names), len(case.features)
    if listed(nest, o.budget):
        return Design(all_coalitions(nest, parts)[0])
    return Design(_chains(case, nest, o.budget).reshape(-1, parts))


@explainer(
    source="owen1977", claims={"complete", "dummy", "symmetric", "linear", "enumerable"}, cost=coalitions(_asked)
)
def owen(case: Case, *, groups: Any = (), remove: Removal = Constant(0.0), budget: int = 2048) -> Estimate:
    """Each part's fair share where the parts come in groups: what groups share as players, shared out within each.

    The mean of v(before i ∪ i) − v(before i) over all orders in which the members of every group join one right after
    the other, in units of the target. ``groups`` is a mapping from group to part names or part names nested in lists,
    as deep as need be (Winter's values of a hierarchy: the number shap.PartitionExplainer aims at);
    ``nouns.hierarchy.hierarchy`` nests columns by correlation. Parts named nowhere are groups of one; without groups
    these are Shapley values. A group's sum, ``extra["groups"]`` (row, group) in the order given, lone parts last, is
    the group's Shapley value in the game of groups. Values add up to output − base, base = v(∅).

    Exact, with standard error 0, when the coalitions that matter (whole groups beside one's own, and subsets of it) fit
    in ``budget``: two groups of ten need 4,092, sixteen parts nested two by two 172. Else from random orders that keep
    groups together, each with its reverse, with the standard error over such pairs. shap.PartitionExplainer spends its
    max_evals along the largest groups and gives no error.
    """
    nest, parts, game = nested(groups, case.features.names), len(case.features), case.game(remove)
    if listed(nest, budget):
        masks, weights = all_coalitions(nest, parts)
        asked = game.table(masks)
        found = Estimate(asked @ weights, np.zeros((len(case), parts)), asked[:, 0])
    else:
        chains = _chains(case, nest, budget)
        found = mean_gains(chains, game.table(chains.reshape(-1, parts)))
    assert isinstance(nest, tuple)
    sums = np.stack([found.values[:, leaves(member)].sum(axis=1) for member in nest], axis=1)
    return Estimate(found.values, found.stderr, found.base, extra={"groups": sums})


def _chains(case: Case, nest: Nest, budget: int) -> Masks:
    return orders(nest, len(case.features), budget, case.seed.child("owen"))
