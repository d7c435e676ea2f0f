# SPDX-License-Identifier: Apache-2.0
"""scikit-learn's histogram gradient boosting, parsed into trees."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.model.adapters.function import predict_without_name_warning
from assay.model.forests.trees import ParsedTrees, Tree, numbers, place_in_output
from assay.nouns.inputs.target import Gives

NAMES = {"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"}
"""Class names of the estimators that this module parses."""

IDENTITY_LINK = ("squared_error", "absolute_error", "quantile")
"""Losses whose raw score is the prediction."""


def parse_trees(estimator: Any) -> ParsedTrees:
    """Trees compare in float64; cover counts training rows without weights, the only counts that scikit-learn stores.

    Categorical columns come first and hold the codes of the estimator's own encoder; a category unseen in training
    becomes NaN, and goes where missing values go.
    """
    rounds, base = estimator._predictors, np.reshape(estimator._baseline_prediction, -1)
    trees = [
        _tree(one.nodes, one.raw_left_cat_bitsets, place, len(base))
        for members in rounds
        for place, one in enumerate(members)
    ]
    classifies = type(estimator).__name__ == "HistGradientBoostingClassifier"
    gives: Gives = "margin" if classifies or estimator.loss not in IDENTITY_LINK else "values"
    encoder = estimator._preprocessor

    def read(given: Any) -> Floats:
        return numbers(given if encoder is None else predict_without_name_warning(encoder.transform, given))

    return ParsedTrees(trees, base, gives, read, _order(estimator))


def _order(estimator: Any) -> Ints:
    """Input column of each column of the trees: categorical columns first."""
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
        value=place_in_output(nodes["value"], place, outputs),
        sets={int(node): _members(bits[nodes["bitset_idx"][node]]) for node in coded},
    )


def _members(words: Any) -> Masks:
    """A bitset of 32-bit words as booleans, lowest bit first."""
    return np.unpackbits(np.asarray(words, dtype="<u4").view(np.uint8), bitorder="little").astype(bool)
