# SPDX-License-Identifier: Apache-2.0
"""Sparseness."""

import numpy as np

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.engine.coalitions.masks import present_parts
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Explanation


@scorer(source="chalasani2020", better="neither", cost=free)
def sparseness(explanation: Explanation, case: Case) -> PerRow:
    """Gini index of the attribution magnitudes: 0 if all are equal, near 1 for a single feature.

    G = 1 − 2 Σ_k |φ|₍ₖ₎ / ‖φ‖₁ · (n − k + ½) / n over magnitudes in rising order, between 0 and 1 − 1/n; it does not
    depend on scale. Features that a row lacks (superpixels) are excluded. Undefined where all values are 0. Needs no
    model evaluations. Higher is sparser and easier to read, but neither high nor low is better: a single random feature
    has the maximum, so do not rank methods by this alone, nor compare different numbers of features.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0))
    >>> sparseness(explain.integrated_gradients(case), case).values.round(3)
    array([0.25])
    """
    available = present_parts(case)
    size = np.sort(np.where(available, np.abs(explanation.values), 0.0), axis=1)
    parts = available.sum(axis=1)
    after = np.arange(size.shape[1])[::-1] + 0.5  # n − k + ½; absent features sort first and add 0
    total = size.sum(axis=1)
    share = np.divide(size @ after, total * parts, out=np.full(total.shape, np.nan), where=total > 0)
    return 1.0 - 2.0 * share
