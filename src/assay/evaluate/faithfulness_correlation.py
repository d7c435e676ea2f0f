# SPDX-License-Identifier: Apache-2.0
"""Faithfulness correlation."""

from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.cost import coalitions
from assay.engine.declare import scorer
from assay.engine.removal.random_removal import followed, without_share
from assay.nouns.results.result import Estimate, Explanation


@scorer(
    source="bhatt2020",
    better="higher",
    claims={"directed"},
    cost=coalitions(lambda case, o: without_share(case, o.size, o.draws)),
)
def faithfulness_correlation(
    explanation: Explanation,
    case: Case,
    *,
    remove: Removal = Constant(0.0),
    size: float = 0.2,
    draws: int = 100,
) -> Estimate:
    """How closely the summed attribution of random parts follows the fall of the target without them.

    Pearson correlation, −1 … 1, over subsets S of ⌈size · n⌉ parts between Σ_{i∈S} φ_i and f(x) − v(all but S). All
    subsets of the size are asked, with standard error 0, when ``draws`` pays for them; else ``draws`` independent ones,
    the same for all rows and methods of a case, with the jackknife's standard error. Undefined where either side is
    constant: every part has the same attribution, or nothing changes the target. Blind to the scale of φ.

    quantus.FaithfulnessCorrelation differs: 224 elements a subset by default, one channel at a time, and no error.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0, 2.0))
    >>> faithfulness_correlation(explain.integrated_gradients(case), case).values.round(3)
    array([1.])
    """
    return Estimate(*followed(explanation, case, remove, without_share(case, size, draws)))
