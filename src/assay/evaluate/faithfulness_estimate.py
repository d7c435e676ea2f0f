# SPDX-License-Identifier: Apache-2.0
"""Faithfulness estimate."""

import numpy as np

from assay.basics.stats import pearson
from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.masks import present_parts
from assay.engine.cost import coalitions
from assay.engine.declare import scorer
from assay.engine.removal.random_removal import is_constant, leave_one_out_coalitions
from assay.nouns.results.result import Explanation


@scorer(
    source="alvarezmelis2018",
    better="higher",
    claims={"directed"},
    cost=coalitions(lambda case, o: leave_one_out_coalitions(case)),
)
def faithfulness_estimate(explanation: Explanation, case: Case, *, remove: Removal = DEFAULT) -> PerRow:
    """Correlation between each feature's attribution and the drop in the target when that feature alone is removed.

    Pearson correlation, −1 … 1, over the features i between φ_i and f(x) − v(all but i). It costs one model evaluation
    per feature and row, and none after ``occlusion``, whose score is 1 by definition. Nothing is random. Features that
    a row lacks (superpixels) are excluded. Undefined where the values or the drops are constant: all features have the
    same attribution, or no single removal changes the target. On images single pixels hardly do, so use patches. If two
    features are redundant, removing either changes nothing: an explanation that divides their effect between them, as
    Shapley values do, scores lower.

    quantus.FaithfulnessEstimate is documented as a rank correlation and computes Pearson's; by default it is this
    score, else over chunks of features that are consecutive in the explanation's order.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0, 2.0))
    >>> faithfulness_estimate(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([1.])
    """
    value = case.game(remove).table(leave_one_out_coalitions(case).masks)
    score = np.full(len(case), np.nan)
    for row, available in enumerate(present_parts(case)):
        phi, left = explanation.values[row : row + 1, available], value[row : row + 1, available]
        if not available.any():
            continue
        if is_constant(phi, np.abs(phi).sum(axis=1)) or is_constant(left, np.abs(left).max(axis=1)):
            continue
        score[row] = pearson(phi, case.output[row] - left)[0]
    return score
