# SPDX-License-Identifier: Apache-2.0
"""KAR: keep and retrain."""

from typing import Any

from assay.cases.case import Case
from assay.engine.declare import scorer
from assay.engine.ranked_removal.feature_order import Explained, Fill, Order
from assay.engine.ranked_removal.removal_and_retraining import (
    FRACTIONS,
    SEEDS,
    RetrainingOptions,
    retraining_cost,
    score_by_retraining,
)
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="hooker2019", better="higher", needs={"labels", "shared parts"}, cost=retraining_cost)
def kar(
    explanation: Explanation,
    case: Case,
    *,
    labels: Any,
    recipe: Recipe,
    fractions: tuple[float, ...] = FRACTIONS,
    seeds: int = SEEDS,
    order: Order = "auto",
    fill: Fill = "mean",
    explained: Explained = "case",
    absolute: bool = True,
    training: Explanation | None = None,
) -> Estimate:
    """Accuracy after only the parts ranked first are kept and the model retrained, minus that of a random ranking.

    As ``roar``, but all parts outside the first ``fractions`` are removed. The score of a row is −1 … 1; positive: the
    parts ranked first are enough for the task; 0: no better than chance. Kept parts tell the class by their places as
    removed ones do: with a ranking for each row the score is NaN where the masks alone predict the class
    (``extra["mask_alone"]``), and ``order="global"``, the default for tables, cannot leak. The options, ``extra`` and
    the price, ``seeds`` × (2 × fractions + 1) trainings, are those of ``roar``. Where features are redundant, few parts
    are enough and many rankings score the same. Raises ``CapabilityError`` for texts, several inputs and parts of each
    row's own.
    """
    options = RetrainingOptions(True, fractions, seeds, order, fill, explained, absolute)
    return score_by_retraining(explanation, case, labels, recipe, options, training)
