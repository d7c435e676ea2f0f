# SPDX-License-Identifier: Apache-2.0
"""ROAR: remove and retrain."""

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


@scorer(source="hooker2019", better="lower", needs={"labels", "shared parts"}, cost=retraining_cost)
def roar(
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
    """Accuracy after the parts ranked first are removed and the model retrained, minus that of a random ranking.

    Parts of the training rows and of the case's rows are ranked by |φ| of the explanation of the fixed model, which is
    computed again for the training rows (or given as ``training``). The first ``fractions`` of them are removed from
    both, and ``recipe`` trains again with ``seeds`` seeds. The score of a row is the mean over fractions and seeds of
    whether the new model is right at the row without these parts, minus the same for random rankings, −1 … 1. Negative:
    the explanation names parts that the task needs; 0: it is no better than chance. Of a regression, correctness is
    1 − error² / variance of the training labels. ``labels`` are the true labels of the case's rows, which must not be
    training rows.

    **A mask can tell the class by itself.** With a ranking for each row a logistic model sees only the masks of the
    training rows; where its accuracy is above chance (95 %, exact, on held-out training rows) the score is NaN with a
    note, and ``extra["mask_alone"]``, its interval and ``extra["chance"]`` say why. ``order="global"`` ranks by the
    mean of |φ| over the training rows, one ranking for all rows, which cannot leak; "auto" takes it for tables.
    ``explained="fixed"`` explains the first class of all rows, ``"random"`` a drawn one, as controls. ``fill``: means
    of the training rows (the most frequent level of text columns), or with "neighbours" their pixels' neighbours and
    noise. ``extra`` (row, fraction) has the ``accuracy``, ``random_accuracy`` and, for the model as it is,
    ``without_retraining``; ``intact_accuracy`` (row,) is that of models retrained on all parts. ``mean_stderr`` is the
    standard error of the mean over rows, with that of the seeds; ``stderr`` (row,) is over seeds alone.

    Price: ``seeds`` × (2 × fractions + 1) trainings, 55 by default. Copies of a feature keep the accuracy until all are
    gone, so that faithful explanations look poor where features are redundant. Raises ``CapabilityError`` for texts,
    several inputs and parts of each row's own. The paper ranks each row and has no check of the masks.
    """
    options = RetrainingOptions(False, fractions, seeds, order, fill, explained, absolute)
    return score_by_retraining(explanation, case, labels, recipe, options, training)
