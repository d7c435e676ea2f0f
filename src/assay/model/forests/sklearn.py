# SPDX-License-Identifier: Apache-2.0
"""scikit-learn's trees, forests, bagged trees and gradient boosting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from assay.basics.types import Floats, Ints
from assay.model.adapters.function import quietly
from assay.model.forests.trees import Grown, Tree, at_places, numbers, single, unreadable
from assay.nouns.inputs.target import Gives

TREES = {"DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor"}
FORESTS = {"RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor"}
BAGS = {"BaggingClassifier", "BaggingRegressor"}
BOOSTED = {"GradientBoostingClassifier", "GradientBoostingRegressor"}
NAMES = TREES | FORESTS | BAGS | BOOSTED
"""The estimators read here, by the names of their classes."""

STEADY = ("prior", "most_frequent", "constant")
"""The strategies of a ``DummyClassifier`` that say the same of every row."""


def grown(estimator: Any) -> Grown:
    """Trees compare in float32. Cover is the sum of the sample weights (in a bootstrap: drawn rows times weight).

    The sum is the mean of the trees' class probabilities, the mean of their values, or for gradient boosting the raw
    score: initial constant + learning rate · Σ trees.
    """
    kind = type(estimator).__name__
    if kind in BOOSTED:
        return _boosted(estimator)
    classes = len(estimator.classes_) if kind.endswith("Classifier") else 0
    gives: Gives = "probabilities" if classes else "values"
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


def _leaves(member: Any, classes: int, kind: str) -> Floats:
    """What the nodes of one tree say (node, out)."""
    held: Floats = member.tree_.value
    if not classes:
        return held[:, :, 0]
    if held.shape[1] != 1:
        raise unreadable(f"{kind} was fitted with {held.shape[1]} labels a row", "Fit one classifier a label")
    return held[:, 0, :]  # a bag's trees know all classes too: it draws rows by weighting them


def _refuse_bagged(estimator: Any, members: Sequence[Any]) -> None:
    odd = {type(one).__name__ for one in members} - TREES
    if odd:
        raise unreadable(f"{type(estimator).__name__} holds {', '.join(sorted(odd))}", "Bag decision trees")


def _boosted(estimator: Any) -> Grown:
    """Gradient boosting; its constant is what the raw score of one row has beyond the trees."""
    start = estimator.init_
    told = type(start).__name__
    steady = told == "DummyRegressor" or (told == "DummyClassifier" and start.strategy in STEADY)
    if not steady and not (isinstance(start, str) and start == "zero"):
        raise unreadable(
            f"{type(estimator).__name__} begins with {told}, which is no constant", "Fit with init=None or init='zero'"
        )
    rounds = estimator.estimators_
    count, outputs, rate = estimator.n_features_in_, rounds.shape[1], estimator.learning_rate
    columns = np.arange(count)
    trees = [
        _tree(one, at_places(one.tree_.value[:, 0, 0] * rate, place, outputs), columns)
        for members in rounds
        for place, one in enumerate(members)
    ]
    classifies = type(estimator).__name__ == "GradientBoostingClassifier"
    row = np.zeros((1, count))
    score = np.reshape(quietly(estimator.decision_function if classifies else estimator.predict, row), -1)
    by_trees = [rate * sum(float(one.predict(row)[0]) for one in members) for members in rounds.T]
    return _read(trees, score - np.array(by_trees), "margin" if classifies else "values", count)


def _tree(member: Any, value: Floats, columns: Ints) -> Tree:
    """One ``tree_``; its columns are numbered in what the whole ensemble reads."""
    held = member.tree_
    inner = held.children_left >= 0
    return Tree(
        left=held.children_left,
        right=held.children_right,
        column=np.where(inner, np.asarray(columns)[np.where(inner, held.feature, 0)], -1),
        threshold=held.threshold,
        missing_left=held.missing_go_to_left.astype(bool),
        cover=held.weighted_n_node_samples,
        value=value,
    )


def _read(trees: Sequence[Tree], base: Floats, gives: Gives, count: int) -> Grown:
    return Grown(trees, base, gives, lambda given: single(numbers(given)), np.arange(count))
