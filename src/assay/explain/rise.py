# SPDX-License-Identifier: Apache-2.0
"""RISE."""

from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.estimator import bernoulli, estimate_by_removal
from assay.engine.cost import summarised
from assay.engine.declare import explainer
from assay.nouns.results.result import Estimate


@explainer(
    source="petsiuk2018",
    claims={"symmetric", "linear", "enumerable"},
    cost=summarised(lambda case, o: bernoulli(o.share)),
)
def rise(case: Case, *, remove: Removal = DEFAULT, budget: int = 1024, share: float = 0.5) -> Estimate:
    """The mean target over random masks that keep the feature.

    E[v(S) | i ∈ S], each feature kept with probability ``share``; in units of the target. Only differences between
    features have a meaning: a feature without effect gets the mean of v, not 0. There is no base. Exact, with standard
    error 0, when all 2^n coalitions fit in ``budget``; else the mean over ``budget`` random masks. A feature that no
    mask keeps is undefined (NaN).

    The paper draws masks on a coarse grid, upsamples them smoothly and shifts them; here masks are those of the case's
    features. The paper divides by the expected number of masks that keep a feature, here by the number itself, which
    removes the noise of that number.
    """
    return estimate_by_removal(case, remove, bernoulli(share), budget)
