# SPDX-License-Identifier: Apache-2.0
"""How much the trees of a Rashomon set differ: in their predictions, and in what they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.engine.distinct.table import DistinctRows
from assay.engine.distinct.trees import Tree, decide

DIGITS = 12
"""Decimal places of an importance; further ones are rounding."""


@dataclass(frozen=True, eq=False)
class PredictionSpread:
    """How the decisions of trees differ from those of a reference tree on the same rows (Marx et al. 2020).

    ``ambiguity`` is the share of rows that at least one tree decides otherwise, ``discrepancy`` the largest share that
    one tree decides otherwise, both 0 … 1. ``distinct`` is the number of different vectors of decisions.
    """

    ambiguity: float
    discrepancy: float
    distinct: int


def decisions_of(trees: Sequence[Tree], masks: Masks) -> Ints:
    """The class numbers (tree, row) that the trees decide."""
    if not trees:
        return np.zeros((0, len(masks)), dtype=np.int64)
    return np.stack([decide(tree, masks) for tree in trees])


def prediction_spread(trees: Sequence[Tree], reference: Tree, table: DistinctRows) -> PredictionSpread:
    """The spread of trees around a reference on the rows that the table counts."""
    decisions, weight = decisions_of(trees, table.masks), table.counts.sum(axis=1) / table.total
    differs = decisions != decide(reference, table.masks)
    return PredictionSpread(
        float(differs.any(axis=0) @ weight),
        float((differs @ weight).max(initial=0.0)),
        len(np.unique(decisions, axis=0)),
    )


def importance_cloud(trees: Sequence[Tree], table: DistinctRows, groups: Sequence[Sequence[int]]) -> Floats:
    """How much each tree rests on each group of conditions, (tree, group): the variable importance cloud.

    The share of errors when the conditions of the group together are those of another row, averaged over all pairs of
    rows, minus the share of errors (model reliance, Fisher et al. 2019; clouds: Dong and Rudin 2020). Exact, no
    permutation is drawn; 0 for conditions that the tree does not read, below 0 where it would be better without.
    """
    weight = table.counts.sum(axis=1) / table.total
    shares = table.counts / table.total
    rows = np.arange(len(table.masks))
    found = np.zeros((len(trees), len(groups)))
    for place, group in enumerate(groups):
        patterns, which = np.unique(table.masks[:, list(group)], axis=0, return_inverse=True)
        frequency = np.bincount(which.reshape(-1), weights=weight, minlength=len(patterns))
        replaced = np.repeat(table.masks[None], len(patterns), axis=0)
        replaced[:, :, list(group)] = patterns[:, None, :]
        flat = replaced.reshape(-1, table.masks.shape[1])
        for number, tree in enumerate(trees):
            decided = decide(tree, flat).reshape(len(patterns), -1)
            found[number, place] = float(frequency @ (1.0 - shares[rows[None], decided].sum(axis=1)))
    errors = [1.0 - float(shares[rows, decide(tree, table.masks)].sum()) for tree in trees]
    return np.asarray(np.round(found - np.array(errors)[:, None], DIGITS) + 0.0)
