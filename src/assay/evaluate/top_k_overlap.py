# SPDX-License-Identifier: Apache-2.0
"""Overlap of the top of an explanation with a mask."""

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.attributions.localisation import Order, align_with_mask, count_top_inside, ranking_values, score_rows
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="theiner2022", better="higher", cost=free)
def top_k_overlap(
    explanation: Explanation, case: Case, *, inside: Any, share: float = 0.05, sign: Order = "signed"
) -> Estimate:
    """Share of the positions of highest attribution, a fixed share of all, that lies inside the mask, 0 … 1.

    |top k ∩ mask| / k with k = ⌈share · n⌉ of the row's n positions; if positions tie at rank k, the expectation over
    random choices among them. ``inside`` is a mask over features (row, part), pixels (row, height, width) or elements
    (row, *shape); channels of a pixel are summed first. ``sign`` "absolute" ranks by magnitude. extra["area"] is the
    mask's share of the positions, which is the score of chance; extra["centre"] is the score of the centre baseline (a
    Gaussian over the middle); extra["best"] = min(1, |mask| / k) is the highest possible score. Undefined where the
    mask is empty or covers everything.

    quantus.TopKIntersection takes a number of pixels, by default 1000, more than small images have.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0, 2.0))
    >>> top_k_overlap(explain.saliency(case), case, inside=[[True, True, False]], share=0.3).values
    array([1.])
    """
    if not 0 < share <= 1:
        raise InputError(f"share={share}; needed is the share of positions that count as top, above 0 and at most 1.")
    masked = align_with_mask(explanation, inside)

    def overlap(heat: Floats, inside: Masks) -> float:
        count = int(np.ceil(share * len(heat) - 1e-9))
        return count_top_inside(heat, inside, count) / count

    estimate = score_rows(masked, overlap, ranking_values(sign))
    count = np.maximum(np.ceil(share * masked.available.sum(axis=1) - 1e-9), 1.0)
    best = np.minimum(1.0, masked.inside.sum(axis=1) / count)
    return Estimate(estimate.values, extra={**estimate.extra, "best": best})
