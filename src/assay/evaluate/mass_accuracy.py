# SPDX-License-Identifier: Apache-2.0
"""Relevance mass accuracy."""

from typing import Any

import numpy as np

from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.attributions.localisation import Mass, align_with_mask, attribution_mass, score_rows
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="arras2022", better="higher", cost=free)
def mass_accuracy(explanation: Explanation, case: Case, *, inside: Any, sign: Mass = "positive") -> Estimate:
    """Share of the attribution that lies inside the mask, 0 … 1.

    Σ_inside a / Σ a, separately for each row. a is the positive part of φ, or |φ| with ``sign`` "absolute"; never the
    signed value, whose ratio is unbounded. ``inside`` is a mask over features (row, part), pixels (row, height, width)
    or elements (row, *shape). Over pixels a feature's attribution is spread evenly over its pixels, and the channels of
    a pixel are summed before the sign is taken. extra["area"] is the mask's share of the positions, which is the score
    of a uniform map; extra["centre"] is the score of the centre baseline, a Gaussian over the middle, σ a quarter of
    each side. Undefined where the mask is empty or covers everything, and where there is no mass. Also known as
    energy-based pointing game, attribution localisation, focus and grid pointing score.

    quantus.AttributionLocalisation uses magnitudes by default; its ``weighted`` divides by a number of the batch.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0))
    >>> mass_accuracy(explain.integrated_gradients(case), case, inside=[[True, False]]).values.round(3)
    array([0.75])
    """
    return score_rows(align_with_mask(explanation, inside, spread=True), _share, attribution_mass(sign))


def _share(heat: Floats, inside: Masks) -> float:
    total = heat.sum()
    return float(heat[inside].sum() / total) if total > 0 else np.nan
