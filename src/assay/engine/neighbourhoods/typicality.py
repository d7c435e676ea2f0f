# SPDX-License-Identifier: Apache-2.0
"""How near rows lie to rows of the kind a model knows, in a space where nearness means something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Array, Floats, Ints, Masks, PerRow
from assay.cases.case import Case
from assay.cases.read_inputs import read
from assay.engine.gradients.activation_maps import hidden_layer
from assay.nouns.inputs.frames import Table
from assay.nouns.inputs.rows import Rows, refuse_gaps, to_floats
from assay.nouns.inputs.target import probabilities
from assay.nouns.results.result import Note

AT_ONCE = 20_000_000
"""Distances held at a time (160 MB)."""

ROUNDING = 1e-6
"""Share of a number's size below which its spread is rounding, and nothing is divided by it."""


Placed = Callable[[Array, Ints], Floats]
"""Points (row, dimension) of rows that stand for the case's rows of these numbers."""


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """Reference rows in a space, and how far each is from its nearest others.

    ``points`` (reference, dimension) and ``apart`` (reference,) are of the references, ``apart`` in rising order.
    """

    place: Placed
    points: Floats
    apart: PerRow
    count: int
    notes: tuple[Note, ...] = ()

    def distance(self, x: Array, which: Ints) -> PerRow:
        """Mean Euclidean distance (row,) to the ``count`` nearest references."""
        return _nearest(self.place(x, which), self.points, self.count)

    def familiarity(self, distance: PerRow) -> PerRow:
        """Share of the references that are farther from their nearest others; ties count half, NaN stays."""
        below = np.searchsorted(self.apart, distance, side="left")
        within = np.searchsorted(self.apart, distance, side="right")
        share = 1.0 - (below + within) / (2 * len(self.apart))
        return np.where(np.isnan(distance), np.nan, share)


def neighbourhood(case: Case, reference: Any, layer: str | None, count: int) -> Neighbourhood:
    """Of a net the activations of a hidden layer, of other models the rows' own numbers, in units of their spread.

    Maps are averaged over positions, a text's activations over its tokens; text and categories of a table are as far
    apart as one spread where they differ.
    """
    rows = _referred(case, reference)
    if not 1 <= count < len(rows):
        raise InputError(f"neighbours={count} of {len(rows)} reference rows; needed is 1 … their number less one.")
    net = case.model.inside is not None
    if layer is not None and not net:
        raise InputError(f"layer={layer!r}: {case.model.name} has no layers to look at; leave layer out.")
    place, points, notes = _activations(case, rows, layer) if net else _written(case, rows)
    numbers = np.ones(points.shape[1], dtype=bool) if net else _numbers(case.rows.table, points)
    spread = points.std(axis=0)
    varies = spread > ROUNDING * np.abs(points).max(axis=0)
    scale = np.where(numbers & varies, spread, 1.0)
    points = points / scale
    apart = np.sort(_nearest(points, points, count, itself=True))
    return Neighbourhood(lambda x, which: place(x, which) / scale, points, apart, count, notes)


def entropy(outputs: Array, case: Case) -> PerRow:
    """Entropy (row,) of the predicted class probabilities, in nats; NaN where there are no classes."""
    if case.model.gives in ("values", "units"):
        return np.full(len(outputs), np.nan)
    share = probabilities(to_floats(outputs), case.model.gives)
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    return np.asarray(-(share * logs).sum(axis=1))


def _referred(case: Case, reference: Any) -> Rows:
    """The reference as rows of the case's kind."""
    if case.model.encode is not None and case.rows.text is not None:
        return read(case.model, reference, None, {}, None, None)[0]
    if case.rows.carried:
        raise InputError(
            f"the rows carry further inputs ({', '.join(sorted(case.rows.carried))}) that reference rows do not have."
        )
    x = case.rows.like(reference)
    refuse_gaps(x, "the reference rows")
    return replace(case.rows, x=x, ids=tuple(map(str, range(len(x)))), text=None)


def _pooled(activation: Array, rows: Rows, which: Ints) -> Floats:
    """Activations as one point a row."""
    found = to_floats(activation)
    if found.ndim == 3 and rows.text is not None and rows.text.real.shape[1] == found.shape[1]:
        real: Masks = rows.text.real[which]
        return np.asarray((found * real[:, :, None]).sum(axis=1) / np.maximum(real.sum(axis=1), 1)[:, None])
    if found.ndim == 4:
        return np.asarray(found.mean(axis=(2, 3)))
    return np.asarray(found.mean(axis=1) if found.ndim == 3 else found.reshape(len(found), -1))


def _activations(case: Case, rows: Rows, layer: str | None) -> tuple[Placed, Floats, tuple[Note, ...]]:
    """Rows as points of a hidden layer: how they are placed, where the references lie, and which layer it is."""
    layer, notes = hidden_layer(case, layer)
    until = replace(case, model=case.model.up_to_layer(layer))
    there = replace(until, rows=rows, label=np.zeros(len(rows), dtype=np.int64))
    points = _pooled(there.outputs(rows.x), rows, np.arange(len(rows)))
    return lambda x, which: _pooled(until.outputs(x, which), case.rows, which), points, notes


def _written(case: Case, rows: Rows) -> tuple[Placed, Floats, tuple[Note, ...]]:
    """Rows as points: numbers as they are, levels as corners of a simplex with sides of 1."""
    table = case.rows.table

    def place(x: Array, which: Ints) -> Floats:
        matrix = to_floats(x).reshape(len(x), -1)
        if table is None:
            return matrix
        found = []
        for column, level in zip(matrix.T, table.levels):
            known = np.arange(0 if level is None else len(level.values))
            found.append(column[:, None] if level is None else (column[:, None] == known) / np.sqrt(2.0))
        return np.concatenate(found, axis=1)

    return place, place(rows.x, np.arange(len(rows))), ()


def _numbers(table: Table | None, points: Floats) -> Masks:
    """Which dimensions of points are numbers, with a spread to be divided by."""
    if table is None:
        return np.ones(points.shape[1], dtype=bool)
    return np.concatenate([np.full(1 if one is None else len(one.values), one is None) for one in table.levels])


def _nearest(points: Floats, others: Floats, count: int, *, itself: bool = False) -> PerRow:
    """Mean distance (point,) to the ``count`` nearest others; ``itself``: to others than the point of that number."""
    from scipy.spatial.distance import cdist

    found = np.empty(len(points))
    size = max(1, AT_ONCE // len(others))
    for start in range(0, len(points), size):
        far = cdist(points[start : start + size], others)
        if itself:
            far[np.arange(len(far)), start + np.arange(len(far))] = np.inf
        found[start : start + size] = np.partition(far, count - 1, axis=1)[:, :count].mean(axis=1)
    return found
