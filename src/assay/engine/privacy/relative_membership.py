# SPDX-License-Identifier: Apache-2.0
"""RMIA: membership by comparison with other rows of the population (Zarifzadeh, Liu and Shokri 2024)."""

from __future__ import annotations

import numpy as np

from assay.basics.stats import auc
from assay.basics.types import Floats, Masks

GRID = tuple(np.round(np.linspace(0, 1, 11), 1).tolist())
"""Values of a that are tried."""

REFERENCES = 4
"""Shadow models that are attacked to choose a."""


def probability_ratio(own: Floats, shadows: Floats, members: Masks, a: float | None = None) -> Floats:
    """r = p(y | x) / p̄(x) (row,), from probabilities of the true label, ``shadows`` (model, row).

    p̄ is the mean of the mean over models trained on the row and the mean over the others. With ``a`` only the others
    are used, offline: p̄ = ½ [(1 + a) · mean + (1 − a)].
    """
    outside = _mean(shadows, ~members)
    average = (outside + _mean(shadows, members)) / 2 if a is None else ((1 + a) * outside + (1 - a)) / 2
    return np.asarray(own / np.maximum(average, np.finfo(np.float64).tiny))


def _mean(values: Floats, chosen: Masks) -> Floats:
    """Mean over the chosen models (row,). Privacy Meter's code averages zeros where a row has fewer than most."""
    return np.asarray(np.where(chosen, values, 0.0).sum(axis=0) / np.maximum(chosen.sum(axis=0), 1))


def relative_score(ratio: Floats, population: Floats, gamma: float) -> Floats:
    """Share of population rows z with r(x) / r(z) ≥ γ, (row,); the population must not be among the rows scored."""
    limits = np.sort(gamma * population)
    return np.asarray(np.searchsorted(limits, ratio, side="right") / len(limits))


def cross_fitted_scores(ratio: Floats, is_outside: Masks, fold: Masks, gamma: float) -> Floats:
    """Relative scores (row,), each row against the outside rows of the other fold; ``fold`` (row,) has two values."""
    scores = np.empty(len(ratio))
    for side in (False, True):
        scores[fold == side] = relative_score(ratio[fold == side], ratio[is_outside & (fold != side)], gamma)
    return scores


def best_offline_weight(shadows: Floats, members: Masks) -> float:
    """The ``a`` at which offline attacks on some of the shadow models have the largest area under the ROC curve.

    The first models, up to four, are attacked in turn with all others, so that the model under attack chooses nothing.
    """
    areas = np.zeros(len(GRID))
    for number in range(min(REFERENCES, len(shadows))):
        others = np.arange(len(shadows)) != number
        inside = members[number]
        for place, a in enumerate(GRID):
            ratio = probability_ratio(shadows[number], shadows[others], members[others], a)
            areas[place] += auc(ratio[~inside], ratio[inside])
    return GRID[int(areas.argmax())]
