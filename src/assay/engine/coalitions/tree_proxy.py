# SPDX-License-Identifier: Apache-2.0
"""Regression adjustment by boosted trees that are fitted to the game's values at the sampled coalitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from assay.basics.types import Floats, Ints
from assay.engine.coalitions.leverage import PairRegression
from assay.engine.coalitions.third_order import ScreenedFit
from assay.engine.trees.tree_games import TreeGame
from assay.model.forests import forest_reader

if TYPE_CHECKING:
    from sklearn.ensemble import GradientBoostingRegressor

FOLDS = 5
BOOSTED = {"n_estimators": 150, "max_depth": 4, "learning_rate": 0.1, "subsample": 0.7, "max_features": 0.5}


def shapley_values(boosted: GradientBoostingRegressor, parts: int) -> Floats:
    """Exact Shapley values (part,) of boosted trees over masks: from all features 0 to all features 1."""
    forest = forest_reader(boosted, None)
    assert forest is not None
    empty, full = np.zeros((1, parts)), np.ones((1, parts))
    return TreeGame(forest(), np.arange(parts), parts, full, np.ones((1, 1)), np.zeros(1), empty).shapley()[0]


def predict(pairs: PairRegression, values: Floats) -> Floats:
    """Out-of-fold predictions (row, pair) of v(S) − v(S^c) by boosted trees, minus the trees' additive part.

    The regression adjustment of Witter, Liu and Musco (2025): the additive part is given by the exact Shapley values of
    the fitted trees, the remainder is estimated from pairs outside the training folds.
    """
    folds, predictions = ScreenedFit(pairs).folds, np.full((len(values), len(pairs.half)), np.nan)
    for row in np.flatnonzero(np.isfinite(values).all(axis=1)):
        by_fold = np.stack([_fit_and_predict(pairs, values[row], np.flatnonzero(folds != f)) for f in range(FOLDS)])
        out_of_fold = by_fold[folds, np.arange(len(folds))]
        predictions[row] = np.where(pairs.is_exhausted, by_fold.mean(axis=0), out_of_fold)
    return predictions


def _fit_and_predict(pairs: PairRegression, values: Floats, training_pairs: Ints) -> Floats:
    from sklearn.ensemble import GradientBoostingRegressor

    masks = np.concatenate([[0, 1], 2 + 2 * training_pairs, 3 + 2 * training_pairs])
    boosted = GradientBoostingRegressor(**BOOSTED, random_state=0)
    boosted.fit(pairs.design.masks[masks].astype(np.float32), values[masks])
    half = pairs.half.astype(np.float32)
    return np.asarray(
        boosted.predict(half) - boosted.predict(1 - half) - (2 * half - 1) @ shapley_values(boosted, half.shape[1])
    )
