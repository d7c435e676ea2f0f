# SPDX-License-Identifier: Apache-2.0
"""Connectedness."""

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Masks
from assay.cases.case import Case
from assay.engine.attributions.part_adjacency import adjacent_parts, label_components
from assay.engine.coalitions.masks import present_parts
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="assay2026", better="neither", needs={"image"}, cost=free)
def connectedness(
    explanation: Explanation, case: Case, *, share: float = 0.1, other: Explanation | None = None
) -> Estimate:
    """Share of the highest-attribution features of an image that lie in their largest connected component.

    The top features are the ⌈share · n⌉ of highest attribution, n counting the features a row has; ties are broken by
    feature order. The score is between 1/⌈share · n⌉ and 1. Two features are adjacent if they have neighbouring
    elements in a channel, or elements at one pixel in two channels. extra["components"] is the number of components.
    Undefined where all values are equal. Needs no model evaluations. Neither high nor low is better; random features
    give a low value when the share is small.

    With ``other``, a second explanation of the same rows and features: the share of the top features of either
    explanation that lie in a component with top features of both. 1: both mark the same or adjacent features; 0: they
    mark separate ones.
    """
    if other is not None and (other.ids != explanation.ids or other.values.shape != explanation.values.shape):
        raise InputError("other needs the same rows in the same order and the same features as the explanation.")
    one = _top_features(explanation, case, share)
    two = one if other is None else _top_features(other, case, share)
    flat = _is_constant(explanation, case) | (_is_constant(other, case) if other is not None else False)
    score, components = np.full(len(case), np.nan), np.full(len(case), np.nan)
    for row, pairs in enumerate(adjacent_parts(case)):
        if flat[row]:
            continue
        component = label_components(pairs, one[row] | two[row])
        _, size = np.unique(component[component >= 0], return_counts=True)
        both = np.intersect1d(component[one[row]], component[two[row]])
        joined = size.max() if other is None else np.isin(component, both[both >= 0]).sum()
        score[row], components[row] = joined / size.sum(), len(size)
    return Estimate(score, extra={"components": components})


def _top_features(explanation: Explanation, case: Case, share: float) -> Masks:
    """The ⌈share · n⌉ features of highest value (row, part) among the n that each row has."""
    if not 0 < share <= 1:
        raise InputError(f"share={share}; needed is the share of features that count as top, above 0 and at most 1.")
    available = present_parts(case)
    order = np.argsort(np.where(available, -explanation.values, np.inf), axis=1, kind="stable")
    count = np.ceil(share * available.sum(axis=1) - 1e-9).astype(np.int64)
    chosen = np.zeros(available.shape, dtype=bool)
    np.put_along_axis(chosen, order, np.arange(available.shape[1]) < count[:, None], axis=1)
    return chosen


def _is_constant(explanation: Explanation, case: Case) -> Masks:
    """Whether all features of a row have the same value, (row,)."""
    available = present_parts(case)
    high = np.where(available, explanation.values, -np.inf).max(axis=1)
    low = np.where(available, explanation.values, np.inf).min(axis=1)
    return np.asarray(high == low)
