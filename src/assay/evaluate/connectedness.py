# SPDX-License-Identifier: Apache-2.0
"""Connectedness."""

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Masks
from assay.cases.case import Case
from assay.engine.attributions.part_adjacency import components, touching
from assay.engine.coalitions.masks import present
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="assay2026", better="neither", needs={"image"}, cost=free)
def connectedness(
    explanation: Explanation, case: Case, *, share: float = 0.1, other: Explanation | None = None
) -> Estimate:
    """How much of what leads the explanation hangs together in the picture, as a share of the leading parts.

    Of the ⌈share · n⌉ parts of highest attribution, those in the largest connected piece, 1/⌈share · n⌉ … 1. Parts
    touch where elements lie side by side in a channel, or at one pixel in two channels; n counts the parts a row has,
    ties fall in part order. extra["pieces"] is the number of pieces. Undefined where all parts have the same value.
    No model call. Neither better nor worse; parts drawn at random give a low value when few of many lead.

    With ``other``, a second explanation of the same rows and parts: the share of the parts that lead in either one that
    lie in a piece where both have leading parts. 1: the two point at the same or touching places; 0: at places apart.
    """
    if other is not None and (other.ids != explanation.ids or other.values.shape != explanation.values.shape):
        raise InputError("other must speak of the same rows, in order, and parts as the explanation judged.")
    one = _leading(explanation, case, share)
    two = one if other is None else _leading(other, case, share)
    flat = _flat(explanation, case) | (_flat(other, case) if other is not None else False)
    score, pieces = np.full(len(case), np.nan), np.full(len(case), np.nan)
    for row, pairs in enumerate(touching(case)):
        if flat[row]:
            continue
        piece = components(pairs, one[row] | two[row])
        _, size = np.unique(piece[piece >= 0], return_counts=True)
        both = np.intersect1d(piece[one[row]], piece[two[row]])
        joined = size.max() if other is None else np.isin(piece, both[both >= 0]).sum()
        score[row], pieces[row] = joined / size.sum(), len(size)
    return Estimate(score, extra={"pieces": pieces})


def _leading(explanation: Explanation, case: Case, share: float) -> Masks:
    """The ⌈share · n⌉ parts of highest value (row, part) among those each row has."""
    if not 0 < share <= 1:
        raise InputError(f"share={share}; it is the share of parts that lead, above 0 and at most 1.")
    held = present(case)
    order = np.argsort(np.where(held, -explanation.values, np.inf), axis=1, kind="stable")
    count = np.ceil(share * held.sum(axis=1) - 1e-9).astype(np.int64)
    chosen = np.zeros(held.shape, dtype=bool)
    np.put_along_axis(chosen, order, np.arange(held.shape[1]) < count[:, None], axis=1)
    return chosen


def _flat(explanation: Explanation, case: Case) -> Masks:
    """Whether all parts a row has are worth the same (row,): then none leads."""
    held = present(case)
    high = np.where(held, explanation.values, -np.inf).max(axis=1)
    low = np.where(held, explanation.values, np.inf).min(axis=1)
    return np.asarray(high == low)
