# SPDX-License-Identifier: Apache-2.0
"""What boosted trees, learnt from masks and values, predict of a game."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

from assay.engine.leverage import Pairs
from assay.engine.third_order import Screened
from assay.words.types import Floats, Ints, Masks

if TYPE_CHECKING:
    from sklearn.ensemble import GradientBoostingRegressor

FOLDS = 5
BOOSTED = {"n_estimators": 150, "max_depth": 4, "learning_rate": 0.1, "subsample": 0.7, "max_features": 0.5}


@dataclass(frozen=True, eq=False)
class Leaves:
    """The leaves of boosted trees over masks: each pays ``pays`` (leaf,) where all ``present`` and no ``absent`` part
    (leaf, part) is in the coalition."""

    present: Masks
    absent: Masks
    pays: Floats

    def shapley(self) -> Floats:
        """Exact Shapley values (part,) of the sum of all leaves.

        A leaf that needs a parts present and b absent gives each of the a: (a − 1)! b! / (a + b)!, and takes from each
        of the b: a! (b − 1)! / (a + b)!.
        """
        a, b = self.present.sum(axis=1), self.absent.sum(axis=1)
        gain = np.where(a > 0, np.exp(gammaln(np.maximum(a, 1)) + gammaln(b + 1) - gammaln(a + b + 1)), 0.0)
        loss = np.where(b > 0, np.exp(gammaln(a + 1) + gammaln(np.maximum(b, 1)) - gammaln(a + b + 1)), 0.0)
        return np.asarray((self.pays * gain) @ self.present - (self.pays * loss) @ self.absent)


def leaves(boosted: GradientBoostingRegressor, parts: int) -> Leaves:
    """The leaves of trees over masks (0 absent, 1 present)."""
    found: list[tuple[Masks, Masks, float]] = []
    for (one,) in boosted.estimators_:
        tree = one.tree_
        waiting = [(0, np.zeros(parts, dtype=bool), np.zeros(parts, dtype=bool))]
        while waiting:
            node, present, absent = waiting.pop()
            if tree.children_left[node] < 0:
                found.append((present, absent, boosted.learning_rate * float(tree.value[node, 0, 0])))
                continue
            here = np.arange(parts) == tree.feature[node]
            waiting.append((tree.children_left[node], present, absent | here))
            waiting.append((tree.children_right[node], present | here, absent))
    present, absent, pays = zip(*found)
    return Leaves(np.stack(present), np.stack(absent), np.array(pays))


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
    shares = leaves(boosted, half.shape[1]).shapley()
    return np.asarray(boosted.predict(half) - boosted.predict(1 - half) - (2 * half - 1) @ shares)
