# SPDX-License-Identifier: Apache-2.0
"""Faithfulness correlation."""

import numpy as np

from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.declare import scorer
from assay.engine.price import coalitions
from assay.engine.random_removal import complete, without_share
from assay.nouns.result import Estimate, Explanation
from assay.words.stats import pearson
from assay.words.types import Floats, Masks, PerRow


@scorer(
    source="bhatt2020",
    better="higher",
    claims={"directed"},
    price=coalitions(lambda case, o: without_share(case, o.size, o.draws)),
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
    design = without_share(case, size, draws)
    summed = explanation.values @ (~design.masks).T
    value = case.game(remove).table(design.masks)
    fall = case.output[:, None] - value
    same = _constant(summed, np.abs(explanation.values).sum(axis=1)) | _constant(fall, np.abs(value).max(axis=1))
    correlation = np.where(same, np.nan, pearson(summed, fall))
    stderr = np.where(same, np.nan, 0.0 if complete(design) else _jackknife(summed, fall))
    return Estimate(correlation, stderr)


def _constant(values: Floats, size: Floats) -> Masks:
    """Whether a row's values differ by no more than rounding of numbers of that size."""
    return np.asarray(np.ptp(values, axis=1) <= 1e-12 * size)


def _jackknife(a: Floats, b: Floats) -> PerRow:
    """Standard error (row,) of the correlation from leaving out one draw at a time."""
    draws = a.shape[1]
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    again = draws / (draws - 1)  # the mean moves too when a draw leaves
    both = (a * b).sum(axis=1, keepdims=True) - again * a * b
    left = (a * a).sum(axis=1, keepdims=True) - again * a * a
    right = (b * b).sum(axis=1, keepdims=True) - again * b * b
    scale = np.sqrt(np.maximum(left, 0.0) * np.maximum(right, 0.0))
    without = np.divide(both, scale, out=np.full(a.shape, np.nan), where=scale > 0)
    return np.asarray(np.sqrt((draws - 1) * without.var(axis=1)))
