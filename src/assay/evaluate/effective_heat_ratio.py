# SPDX-License-Identifier: Apache-2.0
"""Effective heat ratio."""

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.attributions.localisation import Mass, align_with_mask, attribution_mass, score_rows
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="zhang2021", better="higher", cost=free)
def effective_heat_ratio(
    explanation: Explanation, case: Case, *, inside: Any, quantiles: int = 10, sign: Mass = "positive"
) -> Estimate:
    """Share of the attribution that lies inside the mask, averaged over thresholds that exclude weak attributions.

    Mean over the levels q = 0, 1/Q, …, (Q − 1)/Q of Σ_{inside, a ≥ t_q} a / Σ_{a ≥ t_q} a, 0 … 1, where t_q selects the
    ⌈(1 − q) n⌉ highest of n positions and all that tie with the last; Q = ``quantiles``. The first level is
    ``mass_accuracy``; later levels measure where the peaks are. a is the positive part of φ, or |φ| with ``sign``
    "absolute". ``inside`` is a mask over features (row, part), pixels (row, height, width) or elements (row, *shape).
    Over pixels a feature's attribution is spread evenly over its pixels, and channels are summed. extra["area"] is the
    mask's share of the positions, extra["centre"] the score of the centre baseline (a Gaussian over the middle).
    Undefined where the mask is empty or covers everything, and where there is no mass.

    The paper's thresholds are interpolated quantiles of the map; these are values of the map.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0))            # ¾ of all, then all of the higher half
    >>> effective_heat_ratio(
    ...     explain.integrated_gradients(case), case, inside=[[True, False]], quantiles=2
    ... ).values.round(3)
    array([0.875])
    """
    if quantiles < 1:
        raise InputError(f"quantiles={quantiles}; at least 1 level is needed.")

    def ratio(heat: Floats, inside: Masks) -> float:
        if not heat.sum() > 0:
            return np.nan
        high = np.sort(heat)[::-1]
        counts = np.ceil((1 - np.arange(quantiles) / quantiles) * len(heat) - 1e-9).astype(np.int64)
        selected = [heat >= high[count - 1] for count in counts]
        return float(np.mean([heat[top & inside].sum() / heat[top].sum() for top in selected]))

    return score_rows(align_with_mask(explanation, inside, spread=True), ratio, attribution_mass(sign))
