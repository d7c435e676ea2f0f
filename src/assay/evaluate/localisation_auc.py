# SPDX-License-Identifier: Apache-2.0
"""How well attribution tells a mask's places from the others."""

from typing import Any

import numpy as np
from scipy.stats import rankdata

from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.attributions.localisation import Order, judged, located, ranked
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="fawcett2006", better="higher", cost=free)
def localisation_auc(explanation: Explanation, case: Case, *, inside: Any, sign: Order = "signed") -> Estimate:
    """The chance that a place inside the mask has a higher attribution than one outside, 0 … 1; ½ is chance.

    The area under the ROC curve, by mid-ranks: ties count half. extra["average_precision"] is Σ (R_k − R_{k−1}) P_k
    over the different values from the highest down, with precision P and recall R; chance gets extra["area"] there, the
    mask's share, so of small masks it tells more. ``inside`` is a mask over parts (row, part), pixels (row, height,
    width) or elements (row, *shape); channels of a pixel are added up first. ``sign`` "absolute" orders by size.
    extra["centre"] is the area under the curve of a bump over the middle, extra["centre_average_precision"] its average
    precision. Undefined where the mask is empty or everything. Blind to how large attributions are.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0, 2.0))
    >>> localisation_auc(explain.saliency(case), case, inside=[[True, True, False]]).values
    array([0.5])
    """
    found, read = located(explanation, inside), ranked(sign)
    area, precision = judged(found, _area, read), judged(found, _average_precision, read)
    more = {"average_precision": precision.values, "centre_average_precision": precision.extra["centre"]}
    return Estimate(area.values, extra={**area.extra, **more})


def _area(heat: Floats, inside: Masks) -> float:
    """Mann and Whitney's U over the number of pairs."""
    own, others = int(inside.sum()), int((~inside).sum())
    return float((rankdata(heat)[inside].sum() - own * (own + 1) / 2) / (own * others))


def _average_precision(heat: Floats, inside: Masks) -> float:
    order = np.argsort(-heat, kind="stable")
    last = np.append(np.flatnonzero(np.diff(heat[order])), len(heat) - 1)  # where each different value ends
    hits = np.cumsum(inside[order])[last]
    return float((np.diff(hits, prepend=0) / hits[-1]) @ (hits / (last + 1)))
