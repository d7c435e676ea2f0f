# SPDX-License-Identifier: Apache-2.0
"""Iterative removal of features."""

from dataclasses import replace

import numpy as np

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.cost import curve
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import ordered_curve
from assay.nouns.results.result import Explanation

ROUNDING = 1e-6
"""Share of the curve's largest value below which f(x) is too small to divide by."""


@scorer(source="rieger2020", better="higher", claims={"ordered", "directed"}, cost=curve())
def irof(explanation: Explanation, case: Case, *, remove: Removal = Constant(0.0), steps: int = 0) -> PerRow:
    """Area over the target's share that is left as parts are removed, highest mean attribution first.

    1 − ∫ f(x without the first parts) / f(x) over the share of parts removed, by the trapezium rule; at most 1 for
    probabilities, negative where removal raises the target. Parts are ranked by attribution per element, so that large
    superpixels have no start; where parts are equally large this is the order of ``deletion``, after which it is free.
    Ask for probabilities (target="probability"): the share means nothing for a logit, whose zero is arbitrary.
    Undefined where f(x) ≤ 0 or below a millionth of the curve's largest value, and where the explanation is.

    quantus.IROF has its area begin after the first removal and does not divide by the number of parts n, which makes
    images of different cuts incomparable: it is n times this and (1 + the share left by the first removal) / 2. It
    fails on images of several channels.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0))            # shares 1, 1/4, 0 are left
    >>> irof(explain.integrated_gradients(case), case).values.round(3)
    array([0.625])
    """
    per_element = explanation.values / np.maximum(case.features.sizes, 1)
    gone, value = ordered_curve(replace(explanation, values=per_element), case, remove, steps)
    intact = case.output
    large = intact > ROUNDING * np.abs(value).max(axis=1)
    left = np.divide(value, intact[:, None], out=np.full(value.shape, np.nan), where=large[:, None])
    return np.asarray(1.0 - np.trapezoid(left, gone, axis=1))
