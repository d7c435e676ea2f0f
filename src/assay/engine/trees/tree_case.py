# SPDX-License-Identifier: Apache-2.0
"""The tree game of a case, for targets that are a weighted sum of the trees' outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.trees.tree_games import TreeGame
from assay.model.forests.forest import Forest, no_forest
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import probabilities

NOT_LINEAR = (
    "target {target!r} is not a weighted sum of the tree outputs of {name} ({gives}), so absent features cannot be "
    "averaged by cover. Give a background, or use the raw score as the target: margin (of a model wrapped with "
    "output='margin'), value, or log_odds of two classes."
)


def forest_of(case: Case) -> Forest:
    """The model's trees, or ``CapabilityError`` where it has none."""
    if case.model.forest is None:
        raise no_forest(case.model.name)
    return case.model.forest()


def tree_game(case: Case, background: Any = None) -> TreeGame | None:
    """The game of the case's trees; ``None`` where the target is not a weighted sum of their outputs."""
    forest = forest_of(case)
    read = linear_readout(case, forest)
    if read is None:
        return None
    weights, constant = read
    features = case.features
    if features.per_row or (features.index < 0).any():
        raise InputError("tree methods need features that are columns or groups of columns, the same for every row.")
    player = features.index.ravel()[forest.origin]
    absent = None
    if background is not None:
        x = case.rows.convert(background)
        absent = forest.matrix(case.rows.with_inputs(x, np.zeros(len(x), dtype=np.int64)))
    return TreeGame(forest, player, len(features), forest.matrix(case.rows), weights, constant, absent)


PROBES = 40
"""Random outputs at which a target is checked to be linear."""

MAX_PROBED = 4_000_000
"""Numbers of the outputs that are read at a time."""


def linear_readout(case: Case, forest: Forest) -> tuple[Floats, Floats] | None:
    """Weights (row, out) and constants (row,) with target = outputs · weights + constant; ``None`` if it is not linear.

    The outputs are what the trees add up to.
    """
    return linear_target(case, forest.value.shape[1], OutputKind.of(forest.gives))


def linear_target(case: Case, out: int, gives: OutputKind) -> tuple[Floats, Floats] | None:
    """Weights (row, out) and constants (row,) with target = sums · weights + constant; ``None`` if it is not linear.

    ``gives`` is the kind of the ``out`` sums of which the model's outputs are computed. The weights are read off by
    moving one sum at a time, first that of the label alone, and are checked on 40 random sums. No system of equations
    is solved, so that thousands of outputs take no longer than a pass.
    """
    if not case.target.smooth:
        return None
    outputs = Seed(0).child("linear readout").generator().uniform(0.05, 0.95, (2 * PROBES, out))
    centre = 0.5 * (outputs[:PROBES] + outputs[PROBES:])
    weights, constant = np.zeros((len(case), out)), np.empty(len(case))
    for label in np.unique(case.label):

        def read(x: Floats, label: int = label) -> Floats | None:
            return _read_target(case, gives, x, np.full(len(x), label))

        target, middle = read(outputs), read(centre)
        if target is None or middle is None or not _equal(target[:PROBES] + target[PROBES:], 2 * middle):
            return None
        found = np.zeros(out)
        for parts in ([int(label)] if label < out else [], range(out)):
            found[list(parts)] = _slopes(read, outputs[0], parts)
            offset = float(np.mean(target - outputs @ found))
            if _equal(outputs @ found + offset, target):
                break
        else:
            return None
        rows = case.label == label
        weights[rows], constant[rows] = np.where(np.abs(found) < 1e-9, 0.0, found), offset
    return weights, constant


def _equal(found: Floats, expected: Floats) -> bool:
    """Equal up to rounding; NaN never is."""
    return bool(np.abs(found - expected).max() <= 1e-9 * (1 + np.abs(expected).max()))


def _slopes(read: Callable[[Floats], Floats | None], start: Floats, parts: Sequence[int]) -> Floats:
    """The change of the target (part,) for a change of 1 in each of these outputs, measured at a step of 0.25."""
    step, block = 0.25, max(1, MAX_PROBED // len(start))
    found = []
    for first in range(0, len(parts), block):
        chosen = list(parts[first : first + block])
        moved = np.tile(start, (len(chosen) + 1, 1))
        moved[np.arange(len(chosen)), chosen] += step
        target = read(moved)
        found.append(np.full(len(chosen), np.nan) if target is None else (target[:-1] - target[-1]) / step)
    return np.concatenate(found) if found else np.empty(0)


def _read_target(case: Case, gives: OutputKind, sums: Floats, label: Ints) -> Floats | None:
    """The target (row,) of these ``sums`` (row, out) of kind ``gives``; ``None`` where it is not defined."""
    outputs = model_outputs(case.model.kind, gives, sums)
    try:
        return None if outputs is None else to_floats(case.target.read(outputs, label, case.model.kind))
    except CapabilityError:
        return None


def model_outputs(kind: OutputKind, summed: OutputKind, sums: Floats) -> Floats | None:
    """The outputs of a model of this kind whose trees add up to ``sums``; ``None`` where the link is not known."""
    if kind == summed:
        return sums
    if kind == "probabilities" and summed == "margin":
        return to_floats(probabilities(sums, kind.but("margin", threshold=None, scale=summed.scale)))
    if kind == "values" and summed == "margin" and kind.link in ("log", "logit"):
        scores = sums * summed.scale
        return np.exp(scores) if kind.link == "log" else 1 / (1 + np.exp(-scores))
    return None
