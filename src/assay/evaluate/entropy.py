# SPDX-License-Identifier: Apache-2.0
"""Entropy of the fractional contributions."""

import numpy as np

from assay.cases.case import Case
from assay.engine.attributions.attribution_shares import entropy_in_nats, fractional_contributions
from assay.engine.coalitions.masks import present_parts
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="bhatt2020", better="neither", cost=free)
def entropy(explanation: Explanation, case: Case) -> Estimate:
    """Normalised entropy of the attribution over the features: 1 if all values are equal, 0 for a single feature.

    −Σ p ln p / ln n with p = |φ| / Σ|φ| over the n features that the row has, 0 … 1; it does not depend on scale.
    extra["nats"] is the entropy itself, 0 … ln n, which grows with the number of features. Undefined where all values
    are 0, and for a row with one feature. Needs no model evaluations. Low is simpler to read, but neither high nor low
    is better: a single random feature has entropy 0, so do not rank methods by this alone.

    quantus.Complexity does not divide by ln n, and with abs and normalise off it writes into the caller's array. pnpxai
    uses the name for another quantity: the entropy of a histogram of the values.

    >>> from assay import examples, explain
    >>> case = examples.additive((1.0, 1.0, 0.0, 0.0))
    >>> entropy(explain.integrated_gradients(case), case).values.round(3)
    array([0.5])
    """
    nats = entropy_in_nats(fractional_contributions(explanation, case))
    maximum = np.log(present_parts(case).sum(axis=1))
    normalised = np.divide(nats, maximum, out=np.full(nats.shape, np.nan), where=maximum > 0)
    return Estimate(np.minimum(normalised, 1.0), extra={"nats": nats})
