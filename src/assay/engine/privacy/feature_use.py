# SPDX-License-Identifier: Apache-2.0
"""Membership by the use of features: what a model has learnt of a feature that models of other rows have not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.nouns.inputs.rows import to_floats, to_numpy


def bayes_score(
    weights: Floats, bias: Floats, proxy_weights: Floats, proxy_bias: Floats, features: Floats, labels: Ints
) -> Floats:
    """(w_y − w̃_y)ᵀ x + b_y − b̃_y (row,): the log odds that a row was among the training rows of a linear softmax.

    ``weights`` (class, feature) and ``bias`` (class,) of the model, and the same of a proxy trained on other rows.
    Exact where features are independent normals with one variance for all classes, the model's class means are those of
    its training rows and the proxy's are those of the population; the prior odds of membership are 1.
    """
    moved = weights[labels] - proxy_weights[labels]
    return np.asarray((moved * features).sum(axis=1) + bias[labels] - proxy_bias[labels])


@dataclass(frozen=True, eq=False)
class FeatureUse:
    """Influence of each feature on the log odds of each class, ``weights`` (class, feature), and ``bias`` (class,).

    The influence is distributional: the mean gradient over the rows of the class; the bias is the mean of what the log
    odds have beyond weights · features. For a linear model of two classes both are its own coefficients.
    """

    weights: Floats
    bias: Floats

    @staticmethod
    def of(case: Case, labels: Ints, classes: int) -> FeatureUse:
        """Of the case's model, over the case's rows with these true labels; classes without rows have none."""
        given = case.with_target("log_odds", labels)
        x, slopes = flat(given.rows.x), flat(given.gradient(given.rows.x))
        weights, bias = np.zeros((classes, x.shape[1])), np.zeros(classes)
        for label in np.unique(labels):
            own = labels == label
            weights[label] = slopes[own].mean(axis=0)
            finite = given.output[own]
            bias[label] = float((finite - x[own] @ weights[label])[np.isfinite(finite)].mean())
        return FeatureUse(weights, bias)

    @staticmethod
    def mean(uses: list[FeatureUse]) -> FeatureUse:
        """The mean over several models."""
        return FeatureUse(np.mean([one.weights for one in uses], axis=0), np.mean([one.bias for one in uses], axis=0))


def flat(x: object) -> Floats:
    """Rows or gradients as a matrix (row, element) in float64."""
    array = to_floats(to_numpy(x))
    return array.reshape(len(array), -1)
