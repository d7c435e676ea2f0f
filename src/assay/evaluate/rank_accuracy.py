# SPDX-License-Identifier: Apache-2.0
"""Relevance rank accuracy."""

from typing import Any

import numpy as np

from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.attributions.localisation import Order, align_with_mask, count_top_inside, ranking_values, score_rows
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="arras2022", better="higher", cost=free)
def rank_accuracy(explanation: Explanation, case: Case, *, inside: Any, sign: Order = "signed") -> Estimate:
    """Share of the K positions of highest attribution that lie inside the mask, K being the mask's size, 0 … 1.

    |top K ∩ mask| / K with K = |mask|. If positions tie at rank K, the expectation over random choices among them, so
    that the order of pixels does not matter. ``inside`` is a mask over features (row, part), pixels (row, height,
    width) or elements (row, *shape); channels of a pixel are summed first. ``sign`` "absolute" ranks by magnitude.
    extra["area"] is the mask's share of the positions, which is the score of chance; extra["centre"] is the score of
    the centre baseline (a Gaussian over the middle). Undefined where the mask is empty or covers everything.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0, 2.0))
    >>> rank_accuracy(explain.saliency(case), case, inside=[[True, True, False]]).values
    array([0.5])
    """
    return score_rows(align_with_mask(explanation, inside), _share, ranking_values(sign))


def _share(heat: Floats, inside: Masks) -> float:
    count = int(np.count_nonzero(inside))
    return count_top_inside(heat, inside, count) / count
