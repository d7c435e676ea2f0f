# SPDX-License-Identifier: Apache-2.0
"""Effective number of features."""

import numpy as np

from assay.cases.case import Case
from assay.engine.attributions.attribution_shares import entropy_in_nats, fractional_contributions
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="hill1973", better="neither", cost=free)
def effective_parts(explanation: Explanation, case: Case) -> Estimate:
    """Effective number of features: how many equally weighted features have the same entropy as the attribution.

    exp(−Σ p ln p) with p = |φ| / Σ|φ|, Hill's number of order 1 (perplexity), 1 … n; k equal values and all others 0
    give k. It does not depend on scale and needs no threshold. extra["participation"] is Hill's number of order 2,
    1 / Σ p², which gives small shares less weight. Undefined where all values are 0. Needs no model evaluations. Few
    features are easier to read, but neither high nor low is better: a single random feature gives 1.

    quantus.EffectiveComplexity counts |φ| > ε after dividing by the largest value of the whole batch, so that a row's
    score depends on the other rows: one image scored 327 alone, and 0 in a batch with values a hundred times as large.

    >>> from assay import examples, explain
    >>> case = examples.additive((2.0, 2.0, 2.0, 0.0))
    >>> effective_parts(explain.integrated_gradients(case), case).values.round(3)
    array([3.])
    """
    share = fractional_contributions(explanation, case)
    return Estimate(np.exp(entropy_in_nats(share)), extra={"participation": 1.0 / (share**2).sum(axis=1)})
