# SPDX-License-Identifier: Apache-2.0
"""scikit-learn's histogram gradient boosting."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.model.adapters.function import quietly
from assay.model.forests.trees import Grown, Tree, at_places, numbers
from assay.nouns.inputs.target import Gives

NAMES = {"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"}
"""The estimators read here, by the names of their classes."""

AS_THEY_ARE = ("squared_error", "absolute_error", "quantile")
"""Losses whose raw score is the prediction itself."""


def grown(estimator: Any) -> Grown:
    """Trees compare in float64; cover counts training rows, whatever their weight, since scikit-learn keeps no more.

    Columns of categories are read as the codes of the estimator's own encoder, which come first; a category that it
    has not met is read as missing, and goes where missing values go.
    """
    rounds, base = estimator._predictors, np.reshape(estimator._baseline_prediction, -1)
    trees = [
        _tree(one.nodes, one.raw_left_cat_bitsets, place, len(base))
        for members in rounds
        for place, one in enumerate(members)
    ]
    classifies = type(estimator).__name__ == "HistGradientBoostingClassifier"
    gives: Gives = "margin" if classifies or estimator.loss not in AS_THEY_ARE else "values"
    encoder = estimator._preprocessor

    def read(given: Any) -> Floats:
        return numbers(given if encoder is None else quietly(encoder.transform, given))

    return Grown(trees, base, gives, read, _order(estimator))


def _order(estimator: Any) -> Ints:
    """The columns as the trees number them: categories first."""
    if estimator.is_categorical_ is None:
        return np.arange(estimator.n_features_in_)
    return np.concatenate([np.flatnonzero(estimator.is_categorical_), np.flatnonzero(~estimator.is_categorical_)])


def _tree(nodes: Any, bits: Any, place: int, outputs: int) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    coded = np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf)
    return Tree(
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        column=np.where(leaf, -1, nodes["feature_idx"].astype(np.int64)),
        threshold=nodes["num_threshold"],
        missing_left=nodes["missing_go_to_left"].astype(bool),
        cover=nodes["count"].astype(np.float64),
        value=at_places(nodes["value"], place, outputs),
        sets={int(node): _members(bits[nodes["bitset_idx"][node]]) for node in coded},
    )


def _members(words: Any) -> Masks:
    """A bitset of 32-bit words as truth values, lowest bit first."""
    return np.unpackbits(np.asarray(words, dtype="<u4").view(np.uint8), bitorder="little").astype(bool)
