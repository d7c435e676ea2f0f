# SPDX-License-Identifier: Apache-2.0
"""Relevance rank accuracy."""

from typing import Any

import numpy as np

from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.attributions.localisation import Order, judged, leading_inside, located, ranked
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="arras2022", better="higher", cost=free)
def rank_accuracy(explanation: Explanation, case: Case, *, inside: Any, sign: Order = "signed") -> Estimate:
    """Of as many places of highest attribution as the mask has, the share that lies inside it, 0 … 1.

    |top K ∩ mask| / K with K = |mask|. Where places tie at the K-th, the expectation over drawing among them evenly, so
    that a plateau gets no luck from the order of its pixels. ``inside`` is a mask over parts (row, part), pixels (row,
    height, width) or elements (row, *shape); channels of a pixel are added up first. ``sign`` "absolute" orders by
    size. Always beside the score: extra["area"], the mask's share, which is what chance gets, and extra["centre"], what
    a bump over the middle gets. Undefined where the mask is empty or everything.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0, 2.0))
    >>> rank_accuracy(explain.saliency(case), case, inside=[[True, True, False]]).values
    array([0.5])
    """
    return judged(located(explanation, inside), _share, ranked(sign))


def _share(heat: Floats, inside: Masks) -> float:
    count = int(np.count_nonzero(inside))
    return leading_inside(heat, inside, count) / count
