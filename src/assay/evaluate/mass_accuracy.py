# SPDX-License-Identifier: Apache-2.0
"""Relevance mass accuracy."""

from typing import Any

import numpy as np

from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.attributions.localisation import Mass, judged, located, weighed
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="arras2022", better="higher", cost=free)
def mass_accuracy(explanation: Explanation, case: Case, *, inside: Any, sign: Mass = "positive") -> Estimate:
    """The share of the attribution that lies inside the mask, 0 … 1.

    Σ_inside a / Σ a, each row by itself, with a the positive part of φ, or its size where ``sign`` is "absolute"; never
    the signed sum, which has no bounds. ``inside`` is a mask over parts (row, part), pixels (row, height, width) or
    elements (row, *shape): over pixels a part's attribution is spread evenly over its pixels and the channels of a
    pixel are added up before the sign is looked at. Always beside the score: extra["area"], the mask's share, which is
    what an even map gets, and extra["centre"], what a bump over the middle gets (Gaussian, a quarter of each side
    wide). Undefined where the mask is empty or everything, and where there is no mass. Also known as energy-based
    pointing game, attribution localisation, focus and grid pointing score.

    quantus.AttributionLocalisation takes sizes by default; its ``weighted`` divides by a number of the batch.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0))
    >>> mass_accuracy(explain.integrated_gradients(case), case, inside=[[True, False]]).values.round(3)
    array([0.75])
    """
    return judged(located(explanation, inside, spread=True), _share, weighed(sign))


def _share(heat: Floats, inside: Masks) -> float:
    total = heat.sum()
    return float(heat[inside].sum() / total) if total > 0 else np.nan
