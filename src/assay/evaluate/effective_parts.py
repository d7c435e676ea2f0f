# SPDX-License-Identifier: Apache-2.0
"""The effective number of parts."""

import numpy as np

from assay.cases.case import Case
from assay.engine.attributions.attribution_shares import nats, shares
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="hill1973", better="neither", cost=free)
def effective_parts(explanation: Explanation, case: Case) -> Estimate:
    """How big the explanation is: the number of equally weighted parts that would be spread as evenly.

    exp(−Σ p ln p) with p = |φ| / Σ|φ|, Hill's number of order 1 (perplexity), 1 … n; k equal parts and nothing else
    give k. It does not change with scale, and no threshold is chosen. extra["participation"] is the number of order 2,
    1 / Σ p², which counts small shares less. Undefined where all values are 0. No model call. Few parts are easier to
    read, neither better nor worse: one part picked at random gives 1.

    quantus.EffectiveComplexity counts |φ| > ε after dividing by the largest of the whole batch: one picture got 327
    alone, and 0 beside others a hundred times as large.

    >>> from assay import examples, explain
    >>> case = examples.additive((2.0, 2.0, 2.0, 0.0))
    >>> effective_parts(explain.integrated_gradients(case), case).values.round(3)
    array([3.])
    """
    share = shares(explanation, case)
    return Estimate(np.exp(nats(share)), extra={"participation": 1.0 / (share**2).sum(axis=1)})
