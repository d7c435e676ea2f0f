# SPDX-License-Identifier: Apache-2.0
"""Statistics of a split into training and held-out rows: duplicates, single-column rules, a two-sample classifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.nouns.inputs.rows import to_floats

MAX_ROWS = 1000
"""Rows of each side that the two-sample classifier uses; more take longer and change the AUC little."""

MAX_TREE_CLASSES = 100
"""Classes up to which a single-column rule is a tree."""


@dataclass(frozen=True)
class SplitData:
    """Held-out and training rows (row, column); ``is_coded`` (column,) marks levels, numbered in alphabetical order."""

    held_out: Floats
    train: Floats
    is_coded: Masks
    names: tuple[str, ...]
    ids: tuple[str, ...]
    subject: str
    seed: Seed


def split_data(case: Case, train: Floats) -> SplitData:
    """The case's rows as held-out rows, and ``train`` (row, column) as training rows.

    Levels are numbered in alphabetical order, since the order of first occurrence would show which side a row is on.
    Missing numbers are one value, below all others of the column.
    """
    table, held_out, train = case.rows.table, to_floats(case.rows.x).copy(), train.copy()
    is_coded = np.zeros(held_out.shape[1], dtype=bool) if table is None else np.asarray(table.coded)
    for column in np.flatnonzero(is_coded):
        assert table is not None
        level = table.levels[column]
        assert level is not None
        rank = np.argsort(
            np.argsort([level.text(code) for code in range(len(level.values))], kind="stable"), kind="stable"
        )
        for side in (held_out, train):
            side[:, column] = rank[side[:, column].astype(np.int64)]
    for column in np.flatnonzero(np.isnan(held_out).any(axis=0) | np.isnan(train).any(axis=0)):
        known = np.concatenate([held_out[:, column], train[:, column]])
        below = np.floor(np.nanmin(known)) - 1 if not np.isnan(known).all() else 0.0
        for side in (held_out, train):
            side[np.isnan(side[:, column]), column] = below
    names = table.names if table is not None else _column_names(case)
    return SplitData(held_out, train, is_coded, names, case.rows.ids, case.model.name, case.seed.child("data"))


def _column_names(case: Case) -> tuple[str, ...]:
    if case.features.elementwise:
        return tuple(case.features.names[part] for part in case.features.index)
    return case.model.columns or tuple(map(str, range(case.rows.shape[0])))


def duplicated_rows(rows: Floats) -> Masks:
    """Which rows (row,) occur more than once."""
    _, place, count = np.unique(rows + 0.0, axis=0, return_inverse=True, return_counts=True)
    return np.asarray(count[place.ravel()] > 1)


def is_few_valued(rows: Floats, copies: float) -> bool:
    """Whether distinct rows may coincide by chance: every column repeats values in over ``copies`` of distinct rows.

    Distinct rows are tested, so that duplicates do not make a table few-valued. A single column always is.
    """
    distinct = np.unique(rows + 0.0, axis=0)
    return rows.shape[1] == 1 or not any(duplicated_rows(column[:, None]).mean() <= copies for column in distinct.T)


def count_distinct(rows: Floats) -> Ints:
    """Number of distinct values of each column, (column,)."""
    return np.array([len(np.unique(column)) for column in rows.T], dtype=np.int64)


def predict_from_column(split: SplitData, column: int, train_labels: Ints, labels: Ints) -> Ints:
    """Class (row,) of each held-out row by a rule fitted on one column of the training rows; −1 for an unseen level.

    Classes weigh the same. A level, or a range of numbers, gets its most frequent class; ranges are the leaves of a
    tree, or, of more than ``MAX_TREE_CLASSES`` classes, hold equally many training rows: a tree stores the shares of
    all classes in each of its nodes.
    """
    weight = 1 / np.bincount(train_labels, minlength=int(max(train_labels.max(), labels.max())) + 1).clip(1)
    train, held_out = split.train[:, column], split.held_out[:, column]
    if split.is_coded[column]:
        levels, own = train.astype(np.int64), held_out.astype(np.int64)
        return _most_frequent(levels, train_labels, weight, int(max(train.max(), held_out.max())) + 1)[own]
    from sklearn.tree import DecisionTreeClassifier

    classes = len(np.unique(train_labels))
    leaves = max(8, 2 * classes)
    if classes > MAX_TREE_CLASSES:
        known = np.sort(train[np.isfinite(train)])
        edges = np.unique(known[np.linspace(0, len(known), leaves, endpoint=False).astype(np.int64)[1:]])
        ranges, own = (np.searchsorted(edges, values, "right") for values in (train, held_out))
        return _most_frequent(ranges, train_labels, weight, len(edges) + 1)[own]
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0)
    tree.fit(train[:, None], train_labels, sample_weight=weight[train_labels])
    return np.asarray(tree.predict(held_out[:, None]), dtype=np.int64)


def _most_frequent(level: Ints, label: Ints, weight: Floats, levels: int) -> Ints:
    """The class (level,) with the largest sum of weights among the rows of each level; −1 for a level without rows."""
    pairs, place = np.unique(level * len(weight) + label, return_inverse=True)
    total = np.bincount(place.ravel(), weight[label])
    order = np.lexsort((pairs, -total))  # the largest sum first, of equal sums the first class
    found = np.full(levels, -1)
    found[(pairs[order] // len(weight))[::-1]] = (pairs[order] % len(weight))[::-1]
    return found


def sample_side(split: SplitData, side: str) -> Floats:
    """At most ``MAX_ROWS`` rows of a side ("held out" or "train"), drawn without replacement, in random order."""
    rows = split.held_out if side == "held out" else split.train
    places = np.argsort(np.array(split.ids), kind="stable") if side == "held out" else np.arange(len(rows))
    return np.asarray(rows[split.seed.child("shift", side).generator().permutation(places)[:MAX_ROWS]])


def classify_side(held_out: Floats, train: Floats, seed: Seed) -> tuple[Floats, Floats]:
    """Probability (row,) of being held out, held-out rows first, and the mean importance (column,).

    Each half of the rows is predicted by a random forest fitted on the other half.
    """
    from sklearn.ensemble import RandomForestClassifier

    x = np.concatenate([held_out, train])
    side = np.arange(len(x)) < len(held_out)
    half = np.concatenate([np.arange(len(held_out)) % 2, np.arange(len(train)) % 2])  # both are in random order
    scores, importances = np.empty(len(x)), np.zeros(x.shape[1])
    for one in (0, 1):
        state = int(seed.child("forest", one).generator().integers(2**31))
        forest = RandomForestClassifier(50, min_samples_leaf=5, class_weight="balanced", random_state=state)
        forest.fit(x[half != one], side[half != one])
        scores[half == one] = forest.predict_proba(x[half == one])[:, 1]
        importances += forest.feature_importances_ / 2
    return scores, importances
