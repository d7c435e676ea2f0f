# SPDX-License-Identifier: Apache-2.0
"""What an explanation shows about membership beyond the prediction: two attacks that differ in what they read."""

from __future__ import annotations

import numpy as np
from scipy import special
from scipy import stats as scipy_stats

from assay.basics.stats import Interval, auc
from assay.basics.types import Floats, Ints, Masks
from assay.model.model import Model
from assay.nouns.inputs.target import log_probabilities

TINY = 1e-30
RIDGE = 1.0
"""Penalty of the squared coefficients of standardised numbers, in rows."""
STEPS = 25


def prediction_numbers(outputs: Floats, labels: Ints, model: Model) -> Floats:
    """What an attack reads from predictions (row, number): φ of the label, of the class predicted, entropy, hit."""
    logs = np.maximum(log_probabilities(np.asarray(outputs, dtype=np.float64), model.gives), np.log(TINY))
    ranked = np.sort(logs, axis=1)
    own = logs[np.arange(len(logs)), labels]
    entropy = -(np.exp(logs) * logs).sum(axis=1)
    hit = (logs.argmax(axis=1) == labels).astype(np.float64)
    return np.stack([_log_odds(own), _log_odds(ranked[:, -1]), ranked[:, -2], entropy, hit], axis=1)


def _log_odds(logs: Floats) -> Floats:
    return np.asarray(logs - np.log(np.maximum(-np.expm1(logs), TINY)))


def attribution_numbers(attributions: Floats) -> Floats:
    """What an attack reads from attributions (row, *shape): log variance over features and log ℓ₁ norm, (row, 2)."""
    flat = np.asarray(attributions, dtype=np.float64).reshape(len(attributions), -1)
    return np.log(np.stack([flat.var(axis=1), np.abs(flat).sum(axis=1)], axis=1) + TINY)


def cross_fitted_attack(numbers: Floats, is_inside: Masks, folds: Ints) -> Floats:
    """Log odds of membership (row,) by a logistic regression on the numbers and their squares, fitted on other folds.

    Numbers are standardised and clipped to ±4 standard deviations, so that no row decides alone.
    """
    scores = np.empty(len(numbers))
    for fold in np.unique(folds):
        train, test = folds != fold, folds == fold
        centre, spread = numbers[train].mean(axis=0), numbers[train].std(axis=0)
        known = np.clip((numbers - centre) / np.where(spread > 0, spread, 1.0), -4, 4)
        design = np.concatenate([np.ones((len(known), 1)), known, known**2], axis=1)
        scores[test] = design[test] @ _logistic(design[train], is_inside[train].astype(np.float64))
    return scores


def _logistic(design: Floats, labels: Floats) -> Floats:
    """Coefficients by Newton's method with a ridge on all but the intercept; classes count equally."""
    share = labels.mean()
    weights = np.where(labels == 1, 0.5 / share, 0.5 / (1 - share))
    penalty = RIDGE * np.eye(design.shape[1])
    penalty[0, 0] = 1e-9
    beta = np.zeros(design.shape[1])
    for _ in range(STEPS):
        p = special.expit(design @ beta)
        gradient = design.T @ (weights * (labels - p)) - penalty @ beta
        hessian = (design * (weights * p * (1 - p))[:, None]).T @ design + penalty
        step = np.linalg.solve(hessian, gradient)
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            break
    return beta


def auc_gain(base: Floats, more: Floats, is_inside: Masks, level: float) -> tuple[float, Interval]:
    """Area of ``more`` minus area of ``base`` on the same rows, with the paired interval of DeLong et al. (1988)."""
    one, two = (_placements(scores, is_inside) for scores in (base, more))
    gain = float(two[0].mean() - one[0].mean())
    inner, outer = two[0] - one[0], two[1] - one[1]
    error = np.sqrt(inner.var(ddof=1) / len(inner) + outer.var(ddof=1) / len(outer))
    half = float(scipy_stats.norm.ppf((1 + level) / 2) * error)
    return gain, Interval(gain - half, gain + half, level, "delong")


def _placements(scores: Floats, is_inside: Masks) -> tuple[Floats, Floats]:
    """Of each member the share of others below it, of each other row the share of members above it; ties count half."""
    inside, outside = np.sort(scores[is_inside]), np.sort(scores[~is_inside])

    def below(sorted_scores: Floats, values: Floats) -> Floats:
        sides = (np.searchsorted(sorted_scores, values, side=side) for side in ("left", "right"))
        return np.asarray(sum(sides) / (2 * len(sorted_scores)))

    return below(outside, scores[is_inside]), 1 - below(inside, scores[~is_inside])


def area_of(scores: Floats, is_inside: Masks) -> float:
    """Area under the ROC curve of scores that are high for members."""
    return auc(scores[~is_inside], scores[is_inside])
