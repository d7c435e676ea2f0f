# SPDX-License-Identifier: Apache-2.0
"""scikit-learn's trees, forests, bagged trees and gradient boosting, parsed into trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.types import Floats, Ints
from assay.model.adapters.function import predict_without_name_warning
from assay.model.forests import hist
from assay.model.forests.trees import (
    ParsedTrees,
    Tree,
    add_trees,
    numbers,
    place_in_output,
    round_to_float32,
    unreadable_trees,
)
from assay.nouns.inputs.output_kind import Gives, OutputKind

TREES = {"DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor"}
FORESTS = {"RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor"}
BAGS = {"BaggingClassifier", "BaggingRegressor"}
BOOSTED = {"GradientBoostingClassifier", "GradientBoostingRegressor"}
NAMES = TREES | FORESTS | BAGS | BOOSTED
"""Class names of the estimators that this module parses."""

CONSTANT_STRATEGIES = ("prior", "most_frequent", "constant")
"""Strategies of a ``DummyClassifier`` whose prediction is the same for every row."""


def parse_trees(estimator: Any) -> ParsedTrees:
    """Trees compare in float32. Cover is the sum of the sample weights (in a bootstrap: drawn rows times weight).

    The sum is the mean of the trees' class probabilities, the mean of their values, or for gradient boosting the raw
    score: initial constant or initial trees + learning rate · Σ trees. A classifier of several labels of two classes
    each gives the probability of the second class of each label.
    """
    kind = type(estimator).__name__
    if kind in BOOSTED:
        return _boosted(estimator)
    classes = estimator.classes_ if kind.endswith("Classifier") else None
    gives: Gives = "values" if classes is None else OutputKind("probabilities", exclusive=not isinstance(classes, list))
    count = estimator.n_features_in_
    if kind in TREES:
        members, columns, weight = [estimator], [np.arange(count)], 1.0
    else:
        members, weight = list(estimator.estimators_), 1.0 / len(estimator.estimators_)
        columns = [np.arange(count)] * len(members)
    if kind in BAGS:
        _refuse_bagged(estimator, members)
        columns = list(estimator.estimators_features_)
    trees = [_tree(one, _leaves(one, classes, kind) * weight, at) for one, at in zip(members, columns)]
    return _read(trees, np.zeros(trees[0].value.shape[1]), gives, count)


def _leaves(member: Any, classes: Any, kind: str) -> Floats:
    """Values of the nodes of one tree (node, out); ``classes`` are a classifier's, or a list of each label's."""
    values: Floats = member.tree_.value
    if classes is None:
        return values[:, :, 0]
    if not isinstance(classes, list):
        return values[:, 0, :]  # bagged trees have all classes too: bagging samples rows by weights
    if any(len(one) > 2 for one in classes):
        raise unreadable_trees(
            f"{kind} was fitted with {len(classes)} labels per row of {[len(one) for one in classes]} classes",
            "Fit one classifier per label",
        )
    columns = [values[:, i, 1] if len(one) == 2 else values[:, i, 0] * bool(one[0]) for i, one in enumerate(classes)]
    return np.stack(columns, axis=1)


def _refuse_bagged(estimator: Any, members: Sequence[Any]) -> None:
    odd = {type(one).__name__ for one in members} - TREES
    if odd:
        raise unreadable_trees(f"{type(estimator).__name__} holds {', '.join(sorted(odd))}", "Bag decision trees")


def _boosted(estimator: Any) -> ParsedTrees:
    """Gradient boosting; its constant is the raw score of one row minus the sum of the trees."""
    start = _initial_trees(estimator)
    rounds = estimator.estimators_
    count, outputs, rate = estimator.n_features_in_, rounds.shape[1], estimator.learning_rate
    columns = np.arange(count)
    trees = [
        _tree(one, place_in_output(one.tree_.value[:, 0, 0] * rate, place, outputs), columns)
        for members in rounds
        for place, one in enumerate(members)
    ]
    if start is not None:
        return add_trees(_read(trees, np.zeros(outputs), "values", count), start)
    classifies = type(estimator).__name__ == "GradientBoostingClassifier"
    row = np.zeros((1, count))
    score = np.reshape(
        predict_without_name_warning(estimator.decision_function if classifies else estimator.predict, row), -1
    )
    by_trees = [rate * sum(float(one.predict(row)[0]) for one in members) for members in rounds.T]
    scale = 2.0 if estimator.loss == "exponential" else 1.0  # the probability is the sigmoid of twice the score
    gives: Gives = OutputKind("margin", scale=scale) if classifies else "values"
    return _read(trees, score - np.array(by_trees), gives, count)


def _initial_trees(estimator: Any) -> ParsedTrees | None:
    """The trees that gradient boosting starts from, ``None`` for a constant; a regressor adds their values."""
    start = estimator.init_
    name = type(start).__name__
    if name == "DummyRegressor" or (name == "DummyClassifier" and start.strategy in CONSTANT_STRATEGIES):
        return None
    if isinstance(start, str) and start == "zero":
        return None
    if type(start).__module__.startswith("sklearn.") and name.endswith("Regressor") and name in NAMES | hist.NAMES:
        found = parse_trees(start) if name in NAMES else hist.parse_trees(start)
        if found.gives == "values":
            read = found.read  # gradient boosting gives its initial estimator the rows in float32
            return replace(found, read=lambda given: read(round_to_float32(numbers(given))))
    raise unreadable_trees(
        f"{type(estimator).__name__} starts from {name}, which is neither a constant nor trees of values",
        "Fit with init=None or init='zero'",
    )


def _tree(member: Any, value: Floats, columns: Ints) -> Tree:
    """One ``tree_``; its columns are numbered as in the input of the whole ensemble."""
    tree = member.tree_
    inner = tree.children_left >= 0
    return Tree(
        left=tree.children_left,
        right=tree.children_right,
        column=np.where(inner, np.asarray(columns)[np.where(inner, tree.feature, 0)], -1),
        threshold=tree.threshold,
        missing_left=tree.missing_go_to_left.astype(bool),
        cover=tree.weighted_n_node_samples,
        value=value,
    )


def _read(trees: Sequence[Tree], base: Floats, gives: Gives, count: int) -> ParsedTrees:
    return ParsedTrees(trees, base, gives, lambda given: round_to_float32(numbers(given)), np.arange(count))
