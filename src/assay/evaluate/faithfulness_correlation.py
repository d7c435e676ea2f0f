# SPDX-License-Identifier: Apache-2.0
"""Faithfulness correlation."""

from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.cost import coalitions
from assay.engine.declare import scorer
from assay.engine.removal.random_removal import fixed_size_coalitions, removal_correlation
from assay.nouns.catalogue import Check
from assay.nouns.results.result import Estimate, Explanation


@scorer(
    source="bhatt2020",
    better="higher",
    claims={"directed"},
    cost=coalitions(lambda case, o: fixed_size_coalitions(case, o.size, o.draws)),
    checks=(
        Check(
            "EXP203",
            "Does the sum of the values of removed features correlate with the change in output?",
            "Do not interpret sums of its values as effects; use Shapley values of the same removal.",
            0.0,
            "at least",
            claim="faithfulness correlation r = {estimate:.2f}",
            bounds=(-1.0, 1.0),
            kind="faithful",
            severe=-0.3,
        ),
    ),
)
def faithfulness_correlation(
    explanation: Explanation,
    case: Case,
    *,
    remove: Removal = DEFAULT,
    size: float = 0.2,
    draws: int = 100,
) -> Estimate:
    """Correlation between the summed attribution of random features and the drop in the target when they are removed.

    Pearson correlation, −1 … 1, over subsets S of ⌈size · n⌉ features between Σ_{i∈S} φ_i and f(x) − v(all but S). If
    there are at most ``draws`` subsets of that size, all are evaluated and the standard error is 0; else ``draws``
    independent ones, the same for all rows and methods of a case, with the jackknife's standard error. Undefined where
    the sums or the drops are constant: all features have the same attribution, or no removal changes the target. It
    does not depend on the scale of φ.

    quantus.FaithfulnessCorrelation differs: 224 elements per subset by default, one channel at a time, and no standard
    error.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0, 2.0))
    >>> faithfulness_correlation(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([1.])
    """
    return Estimate(*removal_correlation(explanation, case, remove, fixed_size_coalitions(case, size, draws)))
