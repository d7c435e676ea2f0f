# SPDX-License-Identifier: Apache-2.0
"""The faithfulness estimate."""

import numpy as np

from assay.basics.stats import pearson
from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.masks import present
from assay.engine.cost import coalitions
from assay.engine.declare import scorer
from assay.engine.removal.random_removal import alone, constant
from assay.nouns.results.result import Explanation


@scorer(
    source="alvarezmelis2018",
    better="higher",
    claims={"directed"},
    cost=coalitions(lambda case, o: alone(case)),
)
def faithfulness_estimate(explanation: Explanation, case: Case, *, remove: Removal = Constant(0.0)) -> PerRow:
    """How closely each part's attribution follows the fall of the target when that part alone is taken away.

    Pearson correlation, −1 … 1, over the parts i between φ_i and f(x) − v(all but i); one evaluation a part and row,
    nothing drawn, free after ``occlusion``, which gets 1 by definition. Parts a row lacks (superpixels) do not count.
    Undefined where either side is constant: every part has the same attribution, or none alone changes the target. On
    images single pixels hardly do, so cut them into patches. Two parts that stand in for one another each change
    nothing: an explanation that shares out their effect, as Shapley values do, is marked down for it.

    quantus.FaithfulnessEstimate calls this a rank correlation and computes Pearson's; by default it is this, else over
    chunks of parts that follow one another in the explanation's own order.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0, 2.0))
    >>> faithfulness_estimate(explain.integrated_gradients(case), case).values.round(3)
    array([1.])
    """
    value = case.game(remove).table(alone(case).masks)
    score = np.full(len(case), np.nan)
    for row, held in enumerate(present(case)):
        said, left = explanation.values[row : row + 1, held], value[row : row + 1, held]
        if not held.any() or constant(said, np.abs(said).sum(axis=1)) or constant(left, np.abs(left).max(axis=1)):
            continue
        score[row] = pearson(said, case.output[row] - left)[0]
    return score
