# SPDX-License-Identifier: Apache-2.0
"""Sparseness."""

import numpy as np

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.engine.coalitions.masks import present
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Explanation


@scorer(source="chalasani2020", better="neither", cost=free)
def sparseness(explanation: Explanation, case: Case) -> PerRow:
    """How unevenly attribution is spread over the parts: 0 all alike, near 1 a single part.

    The Gini index of |φ|, G = 1 − 2 Σ_k |φ|₍ₖ₎ / ‖φ‖₁ · (n − k + ½) / n over magnitudes in rising order, between 0 and
    1 − 1/n; it does not change with scale. Parts a row lacks (superpixels) do not count. Undefined where all values
    are 0. Costs no model call. Higher is sparser and easier to read, neither better nor worse: one part picked at
    random is as sparse as can be, so this must not rank methods alone, nor cuts into different numbers of parts.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0))
    >>> sparseness(explain.integrated_gradients(case), case).values.round(3)
    array([0.25])
    """
    held = present(case)
    size = np.sort(np.where(held, np.abs(explanation.values), 0.0), axis=1)
    parts = held.sum(axis=1)
    after = np.arange(size.shape[1])[::-1] + 0.5  # n − k + ½; lacking parts sort first and add 0
    total = size.sum(axis=1)
    share = np.divide(size @ after, total * parts, out=np.full(total.shape, np.nan), where=total > 0)
    return 1.0 - 2.0 * share
