# SPDX-License-Identifier: Apache-2.0
"""A decision tree as a surrogate of the model."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.surrogates.boxes import Box, tree_boxes
from assay.engine.surrogates.surrogates import SurrogateSettings, explain_by_rules, surrogate_cost
from assay.nouns.results.result import Estimate


@explainer(source="craven1996", needs={"columns"}, cost=surrogate_cost)
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
    """Shapley values of a small decision tree that is fitted to the model, as a surrogate of the model.

    A regression tree (scikit-learn's, of depth ``depth``, at least ``least`` rows per leaf) is fitted to the target of
    the case's label on the rows of ``background``, without the share ``held_out``. Values are the tree's exact Shapley
    values against the whole background, in units of the target, base the tree's mean there; so the residual is the
    tree's error at the row. ``description`` is the tree as text. There is one tree per label.

    ``extra["fidelity"]`` (row,) is R² on the held-out rows (1 best, NaN where the target does not vary there), with
    ``fidelity_interval`` (row, 2) by bootstrap; ``in_sample`` (row,) is R² on the fitted rows, and ``agreement`` (row,)
    the share of held-out rows on the same side of ½ (probability, decision) or 0 (log_odds, margin), else NaN.
    ``leaves`` (leaf, 5): tree, value, rows fitted, rows held out, their mean target; ``leaf`` (row,) is the leaf of the
    row. Below R² = 0.8 a note says that the tree does not describe the model. Above about 0.95 the tree could replace
    the model.

    ``local`` fits one tree per row instead, to ``draws`` rows near it: each feature kept with probability ½, else taken
    from a random row of the background, weighted as in ``lime`` with ``width``; R² is weighted, too.
    """
    if depth < 1 or least < 1:
        raise InputError(f"depth={depth}, least={least}; both are at least 1.")
    settings = SurrogateSettings("tree", held_out, local, draws, width)
    return explain_by_rules(case, background, partial(_fit_tree, depth=depth, least=least), settings)


def _fit_tree(x: Floats, y: Floats, weight: Floats, *, depth: int, least: int) -> Sequence[Box]:
    """The leaves of a fitted tree."""
    from sklearn.tree import DecisionTreeRegressor

    tree = DecisionTreeRegressor(max_depth=depth, min_samples_leaf=least, random_state=0).fit(x, y, weight).tree_
    return list(tree_boxes(tree, x.shape[1]).values())
