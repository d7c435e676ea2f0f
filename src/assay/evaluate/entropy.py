# SPDX-License-Identifier: Apache-2.0
"""The entropy of the shares of attribution."""

import numpy as np

from assay.cases.case import Case
from assay.engine.attributions.attribution_shares import nats, shares
from assay.engine.coalitions.masks import present
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="bhatt2020", better="neither", cost=free)
def entropy(explanation: Explanation, case: Case) -> Estimate:
    """How evenly attribution is spread over the parts: 1 all alike, 0 a single part.

    −Σ p ln p / ln n with p = |φ| / Σ|φ| over the n parts of the row (those it lacks do not count), 0 … 1; it does not
    change with scale. extra["nats"] is the entropy itself, 0 … ln n, which grows with the number of parts. Undefined
    where all values are 0, and for a row of one part. No model call. Low is simpler to read, neither better nor worse:
    one part picked at random has entropy 0, so this must not rank methods alone.

    quantus.Complexity does not divide by ln n, and with abs and normalise off writes into the caller's array. pnpxai
    calls another thing by the name: the entropy of a histogram of the values.

    >>> from assay import examples, explain
    >>> case = examples.additive((1.0, 1.0, 0.0, 0.0))
    >>> entropy(explain.integrated_gradients(case), case).values.round(3)
    array([0.5])
    """
    spread = nats(shares(explanation, case))
    most = np.log(present(case).sum(axis=1))
    even = np.divide(spread, most, out=np.full(spread.shape, np.nan), where=most > 0)
    return Estimate(np.minimum(even, 1.0), extra={"nats": spread})
