# SPDX-License-Identifier: Apache-2.0
"""How often a decision is expected to be wrong, by the model's own scores."""

from __future__ import annotations

import numpy as np

from assay.basics.types import Floats, Ints
from assay.engine.performance.labelled_outputs import LabelledOutputs


def expected_errors(found: LabelledOutputs, fitted: Ints) -> Floats:
    """Share of wrong decisions (row,) among rows of the same score, 0 … 1, learnt from the rows ``fitted``.

    Isotonic regression (Zadrozny and Elkan 2002): of the second class on its score where there are two classes, else of
    a right decision on the probability of the class decided for (its lead over the next score where the scores have no
    probabilities). So it allows for probabilities that are too extreme and for a threshold other than one half. Scores
    that do not order the events give every row the same share.
    """
    from sklearn.isotonic import IsotonicRegression

    score, event = _score_and_event(found)
    fit = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(score[fitted], event[fitted])
    chance = np.asarray(fit.predict(score), dtype=np.float64)
    if found.scores.shape[1] == 2:
        return np.asarray(np.where(found.predicted == 1, 1 - chance, chance))
    return np.asarray(1 - chance)


def _score_and_event(found: LabelledOutputs) -> tuple[Floats, Floats]:
    """A score (row,) and the event (row,), 0 or 1, that it should order."""
    scores, rows = found.scores, np.arange(len(found.labels))
    if scores.shape[1] == 2:
        return scores[:, 1], np.asarray(found.labels == 1, dtype=np.float64)
    correct = found.correct.astype(np.float64)
    if found.probabilities is not None:
        return found.probabilities[rows, found.predicted], correct
    two = np.sort(scores, axis=1)[:, -2:]
    return np.asarray(two[:, 1] - two[:, 0]), correct
