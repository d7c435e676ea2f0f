# SPDX-License-Identifier: Apache-2.0
"""How much of the top of an explanation lies in a mask."""

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.attributions.localisation import Order, judged, leading_inside, located, ranked
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="theiner2022", better="higher", cost=free)
def top_k_overlap(
    explanation: Explanation, case: Case, *, inside: Any, share: float = 0.05, sign: Order = "signed"
) -> Estimate:
    """Of the places of highest attribution, a fixed share of all, the share that lies inside the mask, 0 … 1.

    |top k ∩ mask| / k with k = ⌈share · n⌉ of the row's n places; where places tie at the k-th, the expectation over
    drawing among them evenly. ``inside`` is a mask over parts (row, part), pixels (row, height, width) or elements
    (row, *shape); channels of a pixel are added up first. ``sign`` "absolute" orders by size. Always beside the score:
    extra["area"], the mask's share, which is what chance gets; extra["centre"], what a bump over the middle gets;
    extra["best"] = min(1, |mask| / k), the most that can be had. Undefined where the mask is empty or everything.

    quantus.TopKIntersection takes a number of pixels, by default 1000, which small images do not have.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0, 2.0))
    >>> top_k_overlap(explain.saliency(case), case, inside=[[True, True, False]], share=0.3).values
    array([1.])
    """
    if not 0 < share <= 1:
        raise InputError(f"share={share}; it is the share of places that count as the top, above 0 and at most 1.")
    found = located(explanation, inside)

    def overlap(heat: Floats, inside: Masks) -> float:
        count = int(np.ceil(share * len(heat) - 1e-9))
        return leading_inside(heat, inside, count) / count

    estimate = judged(found, overlap, ranked(sign))
    count = np.maximum(np.ceil(share * found.real.sum(axis=1) - 1e-9), 1.0)
    best = np.minimum(1.0, found.inside.sum(axis=1) / count)
    return Estimate(estimate.values, extra={**estimate.extra, "best": best})
