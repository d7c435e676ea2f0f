# SPDX-License-Identifier: Apache-2.0
"""A case of a model of trees as a game of trees, where its target is a weighted sum of what the trees add up."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.trees.tree_games import TreeGame
from assay.model.forests.forest import Forest, no_forest
from assay.nouns.inputs.rows import to_floats

NOT_LINEAR = (
    "target {target!r} is no weighted sum of what the trees of {name} add up ({gives}), so no cover speaks for absent "
    "parts. Give a background; or ask for the raw score: margin, value, or log_odds of two classes."
)


def forest_of(case: Case) -> Forest:
    """The trees, or ``CapabilityError`` where the model shows none."""
    if case.model.forest is None:
        raise no_forest(case.model.name)
    return case.model.forest()


def tree_game(case: Case, background: Any = None) -> TreeGame | None:
    """The case as a game of its trees; ``None`` where the target is no weighted sum of their outputs."""
    forest = forest_of(case)
    read = linear_readout(case, forest)
    if read is None:
        return None
    weights, constant = read
    features = case.features
    if features.per_row or (features.index < 0).any():
        raise InputError("tree methods need parts that are columns or groups of columns, the same for every row.")
    player = features.index.ravel()[forest.origin]
    other = None
    if background is not None:
        x = case.rows.like(background)
        other = forest.matrix(case.rows.holding(x, np.zeros(len(x), dtype=np.int64)))
    return TreeGame(forest, player, len(features), forest.matrix(case.rows), weights, constant, other)


def linear_readout(case: Case, forest: Forest) -> tuple[Floats, Floats] | None:
    """Weights (row, out) and constants (row,) with target = outputs · weights + constant; ``None`` if it is not so.

    Found by asking the target about outputs drawn at random, more than would determine the weights.
    """
    if not case.target.smooth:
        return None
    out = forest.value.shape[1]
    drawn = Seed(0).child("linear readout").generator().uniform(0.05, 0.95, (out + 40, out))
    columns = np.column_stack([drawn, np.ones(len(drawn))])
    weights, constant = np.empty((len(case), out)), np.empty(len(case))
    for label in np.unique(case.label):
        told = _read(case, forest, drawn, np.full(len(drawn), label))
        if told is None:
            return None
        found = np.linalg.lstsq(columns, told, rcond=None)[0]
        if not np.abs(columns @ found - told).max() <= 1e-9 * (1 + np.abs(told).max()):  # NaN is no line, either
            return None
        rows = case.label == label
        weights[rows], constant[rows] = np.where(np.abs(found[:-1]) < 1e-9, 0.0, found[:-1]), found[-1]
    return weights, constant


def _read(case: Case, forest: Forest, outputs: Floats, label: Ints) -> Floats | None:
    from assay.basics.errors import CapabilityError

    try:
        return to_floats(case.target.read(outputs, label, forest.gives))
    except CapabilityError:  # the target asks for what the trees' sum is not
        return None
