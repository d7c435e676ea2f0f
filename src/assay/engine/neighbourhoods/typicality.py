# SPDX-License-Identifier: Apache-2.0
"""Distance of rows to reference data, and its rank among the references' own nearest-neighbour distances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Array, Floats, Ints, Masks, PerRow
from assay.cases.case import Case
from assay.cases.read_inputs import read
from assay.engine.gradients.activation_maps import find_hidden_layer
from assay.nouns.inputs.frames import Table
from assay.nouns.inputs.rows import Rows, to_floats
from assay.nouns.inputs.target import probabilities
from assay.nouns.results.result import Note

MAX_DISTANCES = 20_000_000
"""Distances in memory at a time (160 MB)."""

ROUNDING = 1e-6
"""Share of a dimension's largest magnitude below which its standard deviation is rounding and not divided by."""


Embedding = Callable[[Array, Ints], Floats]
"""Maps rows, and the numbers of the case's rows that they come from, to points (row, dimension)."""


@dataclass(frozen=True, eq=False)
class ReferenceSet:
    """Reference rows as points, with their distances to their own nearest neighbours.

    ``points`` is (reference, dimension). ``own_distances`` (reference,) holds each reference's mean distance to the
    ``count`` nearest other references, sorted in rising order.
    """

    embed: Embedding
    points: Floats
    own_distances: PerRow
    count: int
    notes: tuple[Note, ...] = ()

    def distance(self, x: Array, which: Ints) -> PerRow:
        """Mean Euclidean distance (row,) to the ``count`` nearest references."""
        return _nearest(self.embed(x, which), self.points, self.count)

    def typicality(self, distance: PerRow) -> PerRow:
        """Share (row,) of the references whose own distance is above ``distance``; ties count ½, NaN stays NaN."""
        below = np.searchsorted(self.own_distances, distance, side="left")
        within = np.searchsorted(self.own_distances, distance, side="right")
        share = 1.0 - (below + within) / (2 * len(self.own_distances))
        return np.where(np.isnan(distance), np.nan, share)


def reference_set(case: Case, reference: Any, layer: str | None, count: int) -> ReferenceSet:
    """Embed the reference rows: by the activations of a hidden layer of a net, else by the rows' own values.

    Each dimension is divided by its standard deviation over the references. Activation maps are averaged over
    positions, a text's activations over its tokens. Two different texts or categories of a table have distance 1.
    """
    rows = _reference_rows(case, reference)
    if not 1 <= count < len(rows):
        raise InputError(
            f"neighbours={count} of {len(rows)} reference rows; needed is 1 ≤ neighbours < the number of rows."
        )
    net = case.model.layer_access is not None
    if layer is not None and not net:
        raise InputError(f"layer={layer!r}: {case.model.name} has no accessible layers; leave layer out.")
    embed, points, notes = _embed_activations(case, rows, layer) if net else _embed_values(case, rows)
    numbers = np.ones(points.shape[1], dtype=bool) if net else _is_numeric(case.rows.table, points)
    spread = points.std(axis=0)
    varies = spread > ROUNDING * np.abs(points).max(axis=0)
    scale = np.where(numbers & varies, spread, 1.0)
    points = points / scale
    own_distances = np.sort(_nearest(points, points, count, exclude_self=True))
    return ReferenceSet(lambda x, which: embed(x, which) / scale, points, own_distances, count, notes)


def predictive_entropy(outputs: Array, case: Case) -> PerRow:
    """Entropy (row,) of the predicted class probabilities, in nats; NaN if the model predicts no classes."""
    if case.model.gives in ("values", "units"):
        return np.full(len(outputs), np.nan)
    share = probabilities(to_floats(outputs), case.model.gives)
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    return np.asarray(-(share * logs).sum(axis=1))


def _reference_rows(case: Case, reference: Any) -> Rows:
    """The reference data as rows of the same form as the case's."""
    if case.model.encode is not None and case.rows.text is not None:
        if len(case.rows.shape) == 1:
            raise CapabilityError(
                f"the rows of {case.model.name} say which words of a text are present; they have no distance to other "
                f"texts. A net that reads text has one."
            )
        return read(case.model, reference, None, {}, None, None)[0]
    if case.rows.carried:
        raise InputError(
            f"the rows have further inputs ({', '.join(sorted(case.rows.carried))}) that reference rows do not have."
        )
    x = case.rows.convert(reference)
    return replace(case.rows, x=x, ids=tuple(map(str, range(len(x)))), text=None)


def _pool(activation: Array, rows: Rows, which: Ints) -> Floats:
    """Activations as one point (row, dimension) per row."""
    values = to_floats(activation)
    if values.ndim == 3 and rows.text is not None and rows.text.real.shape[1] == values.shape[1]:
        real: Masks = rows.text.real[which]
        return np.asarray((values * real[:, :, None]).sum(axis=1) / np.maximum(real.sum(axis=1), 1)[:, None])
    if values.ndim == 4:
        return np.asarray(values.mean(axis=(2, 3)))
    return np.asarray(values.mean(axis=1) if values.ndim == 3 else values.reshape(len(values), -1))


def _embed_activations(case: Case, rows: Rows, layer: str | None) -> tuple[Embedding, Floats, tuple[Note, ...]]:
    """Rows as activations of a hidden layer: the embedding, the references' points, and a note that names the layer."""
    layer, notes = find_hidden_layer(case, layer)
    truncated = replace(case, model=case.model.up_to_layer(layer))
    references = replace(truncated, rows=rows, label=np.zeros(len(rows), dtype=np.int64))
    points = _pool(references.outputs(rows.x), rows, np.arange(len(rows)))
    return lambda x, which: _pool(truncated.outputs(x, which), case.rows, which), points, notes


def _embed_values(case: Case, rows: Rows) -> tuple[Embedding, Floats, tuple[Note, ...]]:
    """Rows as points: numbers unchanged, categories as corners of a simplex with sides of length 1.

    A missing number is at the mean of the reference rows.
    """
    table = case.rows.table
    known_values = np.ma.masked_invalid(to_floats(rows.x).reshape(len(rows), -1))
    means = np.ma.filled(known_values.mean(axis=0), 0.0)

    def embed(x: Array, which: Ints) -> Floats:
        matrix = to_floats(x).reshape(len(x), -1)
        matrix = np.where(np.isnan(matrix), means, matrix)
        if table is None:
            return matrix
        columns = []
        for column, level in zip(matrix.T, table.levels):
            known = np.arange(0 if level is None else len(level.values))
            columns.append(column[:, None] if level is None else (column[:, None] == known) / np.sqrt(2.0))
        return np.concatenate(columns, axis=1)

    return embed, embed(rows.x, np.arange(len(rows))), ()


def _is_numeric(table: Table | None, points: Floats) -> Masks:
    """Which dimensions (dimension,) of the points are numbers, to be divided by their standard deviation."""
    if table is None:
        return np.ones(points.shape[1], dtype=bool)
    return np.concatenate([np.full(1 if one is None else len(one.values), one is None) for one in table.levels])


def _nearest(points: Floats, others: Floats, count: int, *, exclude_self: bool = False) -> PerRow:
    """Mean distance (point,) to the ``count`` nearest others; ``exclude_self`` skips the other of the same number."""
    from scipy.spatial.distance import cdist

    mean = np.empty(len(points))
    size = max(1, MAX_DISTANCES // len(others))
    for start in range(0, len(points), size):
        distances = cdist(points[start : start + size], others)
        if exclude_self:
            distances[np.arange(len(distances)), start + np.arange(len(distances))] = np.inf
        mean[start : start + size] = np.partition(distances, count - 1, axis=1)[:, :count].mean(axis=1)
    return mean
