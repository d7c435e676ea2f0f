# SPDX-License-Identifier: Apache-2.0
"""A surrogate tree."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.surrogates.boxes import Box, everything
from assay.engine.surrogates.surrogates import Settings, priced, surrogate
from assay.nouns.results.result import Estimate


@explainer(source="craven1996", needs={"table"}, cost=priced)
def surrogate_tree(
    case: Case,
    *,
    background: Any,
    depth: int = 4,
    least: int = 5,
    held_out: float = 0.3,
    local: bool = False,
    draws: int = 1000,
    width: float = 0.25,
) -> Estimate:
    """What a small tree that imitates the model gives each part at the row.

    A regression tree (scikit-learn's, ``depth`` deep, ``least`` rows a leaf) is fitted to the target of the label asked
    on the rows of ``background``, less the share ``held_out``. Values are the tree's exact Shapley values against
    the whole background, in units of the target, base the tree's mean there; so the residual is the tree's error at
    the row. ``told`` is the tree in words. With several labels there is one tree for each.

    ``extra["fidelity"]`` (row,) is R² on the rows held out (1 best, NaN where the target does not vary there), with
    ``fidelity_interval`` (row, 2) by bootstrap, ``in_sample`` (row,) beside it, and ``agreement`` (row,), the share of
    held-out rows on the same side of ½ (probability, decision) or 0 (log_odds, margin), else NaN. ``leaves`` (leaf, 5):
    tree, worth, rows learnt from, rows held out, their mean; ``leaf`` (row,) where the row falls. Below R² .8 a note
    says not to read the tree. Where it is above .95 or so, think of using the tree instead of the model.

    ``local`` fits one tree a row instead, to ``draws`` rows round it: parts kept by coin flips, the others from a
    random row of the background, weighted as in ``lime`` with ``width``; R² is weighted, too.
    """
    if depth < 1 or least < 1:
        raise InputError(f"depth={depth}, least={least}; both are at least 1.")
    settings = Settings("tree", held_out, local, draws, width)
    return surrogate(case, background, partial(_grown, depth=depth, least=least), settings)


def _grown(x: Floats, y: Floats, weight: Floats, *, depth: int, least: int) -> Sequence[Box]:
    """The leaves of a fitted tree."""
    from sklearn.tree import DecisionTreeRegressor

    tree = DecisionTreeRegressor(max_depth=depth, min_samples_leaf=least, random_state=0).fit(x, y, weight).tree_
    return _leaves(tree, 0, everything(x.shape[1]))


def _leaves(tree: Any, node: int, box: Box) -> list[Box]:
    left, right = int(tree.children_left[node]), int(tree.children_right[node])
    if left < 0:
        return [Box(box.low, box.high, float(tree.value[node, 0, 0]))]
    column, cut = int(tree.feature[node]), float(tree.threshold[node])
    low, high = box.low.copy(), box.high.copy()
    high[column], low[column] = min(high[column], cut), max(low[column], cut)
    return [*_leaves(tree, left, Box(box.low, high, 0.0)), *_leaves(tree, right, Box(low, box.high, 0.0))]
