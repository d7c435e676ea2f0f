# SPDX-License-Identifier: Apache-2.0
"""Iterative removal of features (IROF)."""

from dataclasses import replace

import numpy as np

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.cost import curve
from assay.engine.declare import scorer
from assay.engine.removal.ordered_removal import perturbation_curve
from assay.nouns.results.result import Explanation

ROUNDING = 1e-6
"""Share of the curve's largest value up to which f(x) is too small a divisor."""


@scorer(source="rieger2020", better="higher", claims={"ordered", "directed"}, cost=curve())
def irof(explanation: Explanation, case: Case, *, remove: Removal = DEFAULT, steps: int = 0) -> PerRow:
    """Area over the remaining share of the target as features are removed, highest mean attribution first.

    1 − ∫ f(x without the first features) / f(x) over the share of features removed, by the trapezium rule; at most 1
    for probabilities, negative where removal raises the target. Features are ranked by attribution per element, so that
    large superpixels have no advantage; for features of equal size the order is that of ``deletion``, after which this
    needs no model evaluations. Use target="probability": the share has no meaning for a logit, whose zero is arbitrary.
    Undefined where f(x) ≤ 0 or at most a millionth of the curve's largest value, and where the explanation has a NaN.

    quantus.IROF starts its area after the first removal and does not divide by the number of features n, so that
    images with different segmentations are not comparable: it is n times this score and (1 + the share left by the
    first removal) / 2. It fails on images with several channels.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0))            # remaining shares 1, 1/4, 0
    >>> irof(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([0.625])
    """
    per_element = explanation.values / np.maximum(case.features.sizes, 1)
    removed, value = perturbation_curve(replace(explanation, values=per_element), case, remove, steps)
    output = case.output
    large = output > ROUNDING * np.abs(value).max(axis=1)
    remaining = np.divide(value, output[:, None], out=np.full(value.shape, np.nan), where=large[:, None])
    return np.asarray(1.0 - np.trapezoid(remaining, removed, axis=1))
