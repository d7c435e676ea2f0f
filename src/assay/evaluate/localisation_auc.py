# SPDX-License-Identifier: Apache-2.0
"""Localisation AUC: how well attribution separates a mask from the rest."""

from typing import Any

import numpy as np
from scipy.stats import rankdata

from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.attributions.localisation import Order, align_with_mask, ranking_values, score_rows
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="fawcett2006", better="higher", cost=free)
def localisation_auc(explanation: Explanation, case: Case, *, inside: Any, sign: Order = "signed") -> Estimate:
    """Probability that a position inside the mask has a higher attribution than one outside, 0 … 1; chance is ½.

    The area under the ROC curve, by mid-ranks: ties count ½. extra["average_precision"] is Σ (R_k − R_{k−1}) P_k over
    the distinct values from the highest down, with precision P and recall R; its chance level is extra["area"], the
    mask's share of the positions, so it is more informative for small masks. ``inside`` is a mask over features
    (row, part), pixels (row, height, width) or elements (row, *shape); channels of a pixel are summed first. ``sign``
    "absolute" ranks by magnitude. extra["centre"] is the area under the curve of the centre baseline (a Gaussian over
    the middle), extra["centre_average_precision"] its average precision. Undefined where the mask is empty or covers
    everything. It does not depend on how large attributions are.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0, 2.0))
    >>> localisation_auc(explain.saliency(case), case, inside=[[True, True, False]]).values
    array([0.5])
    """
    masked, read = align_with_mask(explanation, inside), ranking_values(sign)
    area, precision = score_rows(masked, _area, read), score_rows(masked, _average_precision, read)
    extra = {"average_precision": precision.values, "centre_average_precision": precision.extra["centre"]}
    return Estimate(area.values, extra={**area.extra, **extra})


def _area(heat: Floats, inside: Masks) -> float:
    """Mann–Whitney U divided by the number of pairs."""
    own, others = int(inside.sum()), int((~inside).sum())
    return float((rankdata(heat)[inside].sum() - own * (own + 1) / 2) / (own * others))


def _average_precision(heat: Floats, inside: Masks) -> float:
    order = np.argsort(-heat, kind="stable")
    last = np.append(np.flatnonzero(np.diff(heat[order])), len(heat) - 1)  # last position of each distinct value
    hits = np.cumsum(inside[order])[last]
    return float((np.diff(hits, prepend=0) / hits[-1]) @ (hits / (last + 1)))
