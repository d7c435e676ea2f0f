# SPDX-License-Identifier: Apache-2.0
"""What boosted trees, learnt from masks and values, predict of a game."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from assay.basics.types import Floats, Ints
from assay.engine.coalitions.leverage import Pairs
from assay.engine.coalitions.third_order import Screened
from assay.engine.trees.tree_games import TreeGame
from assay.model.forests import parsed

if TYPE_CHECKING:
    from sklearn.ensemble import GradientBoostingRegressor

FOLDS = 5
BOOSTED = {"n_estimators": 150, "max_depth": 4, "learning_rate": 0.1, "subsample": 0.7, "max_features": 0.5}


def shares(boosted: GradientBoostingRegressor, parts: int) -> Floats:
    """Exact Shapley values (part,) of boosted trees over masks, between no part (0) and all (1)."""
    forest = parsed(boosted, None)
    assert forest is not None
    nothing, all_ = np.zeros((1, parts)), np.ones((1, parts))
    return TreeGame(forest(), np.arange(parts), parts, all_, np.ones((1, 1)), np.zeros(1), nothing).shapley()[0]


def predicted(pairs: Pairs, values: Floats) -> Floats:
    """What trees that have not seen a pair predict of v(S) − v(S^c) there, less their Shapley values: (row, pair).

    The regression adjustment of Witter, Liu and Musco (2025): a proxy is fitted, its exact Shapley values are taken,
    and the rest is estimated from pairs it has not seen.
    """
    folds, found = Screened(pairs).folds, np.full((len(values), len(pairs.half)), np.nan)
    for row in np.flatnonzero(np.isfinite(values).all(axis=1)):
        guesses = np.stack([_guess(pairs, values[row], np.flatnonzero(folds != fold)) for fold in range(FOLDS)])
        apart = guesses[folds, np.arange(len(folds))]
        found[row] = np.where(pairs.listed, guesses.mean(axis=0), apart)
    return found


def _guess(pairs: Pairs, values: Floats, learnt: Ints) -> Floats:
    from sklearn.ensemble import GradientBoostingRegressor

    asked = np.concatenate([[0, 1], 2 + 2 * learnt, 3 + 2 * learnt])
    boosted = GradientBoostingRegressor(**BOOSTED, random_state=0)
    boosted.fit(pairs.design.masks[asked].astype(np.float32), values[asked])
    half = pairs.half.astype(np.float32)
    return np.asarray(
        boosted.predict(half) - boosted.predict(1 - half) - (2 * half - 1) @ shares(boosted, half.shape[1])
    )
