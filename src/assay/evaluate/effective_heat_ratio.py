# SPDX-License-Identifier: Apache-2.0
"""The effective heat ratio."""

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.attributions.localisation import Mass, judged, located, weighed
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="zhang2021", better="higher", cost=free)
def effective_heat_ratio(
    explanation: Explanation, case: Case, *, inside: Any, quantiles: int = 10, sign: Mass = "positive"
) -> Estimate:
    """The share of attribution that lies inside the mask, averaged over how much of the weak attribution is dropped.

    Mean over the levels q = 0, 1/Q, …, (Q − 1)/Q of Σ_{inside, a ≥ t_q} a / Σ_{a ≥ t_q} a, 0 … 1, where t_q leaves the
    ⌈(1 − q) n⌉ highest of n places and all that tie with the last; Q = ``quantiles``. The first level is
    ``mass_accuracy``; later ones ask where the peaks are. a is the positive part of φ, or its size where ``sign`` is
    "absolute". ``inside`` is a mask over parts (row, part), pixels (row, height, width) or elements (row, *shape): over
    pixels a part's attribution is spread evenly over its pixels and channels are added up. Always beside the score:
    extra["area"], the mask's share, and extra["centre"], what a bump over the middle gets. Undefined where the mask is
    empty or everything, and where there is no mass.

    The paper's thresholds are quantiles of the map interpolated between values; these are values of the map.

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
        above = [heat >= high[count - 1] for count in counts]
        return float(np.mean([heat[top & inside].sum() / heat[top].sum() for top in above]))

    return judged(located(explanation, inside, spread=True), ratio, weighed(sign))
