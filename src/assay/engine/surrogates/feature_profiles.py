# SPDX-License-Identifier: Apache-2.0
"""The target as a column, or a group of them, moves through a grid of points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError
from assay.basics.types import Array, Floats, Ints
from assay.cases.case import Case
from assay.nouns.inputs.rows import refuse_gaps, to_floats
from assay.nouns.results.result import Note

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, eq=False)
class Grid:
    """The points a part moves through: what its columns get (point, column), and one number that stands for each point.

    The number is the column's own value; the code of a level; for a group of columns the position of the background's
    row that the point is taken from.
    """

    columns: Ints
    contents: Floats
    points: Floats
    told: str = ""
    left: int = 0

    def __len__(self) -> int:
        return len(self.points)


def grids(case: Case, other: Floats, points: int) -> list[Grid]:
    """One grid a part, from the background ``other`` (row, column)."""
    if points < 2:
        raise InputError(f"points={points}; a curve has at least 2.")
    refuse_gaps(other, "the rows of the background")
    return [_grid(case, other, part, points) for part in range(len(case.features))]


def _grid(case: Case, other: Floats, part: int, points: int) -> Grid:
    columns, name = np.flatnonzero(case.features.index == part), case.features.names[part]
    table = case.rows.table
    if len(columns) > 1:
        places = np.unique(np.linspace(0, len(other) - 1, points).round().astype(np.int64))
        return Grid(columns, other[places][:, columns], places.astype(np.float64), f"{name}: rows of the background")
    column = other[:, columns[0]]
    if table is None or not table.coded[columns[0]]:
        values = np.unique(np.quantile(column, np.linspace(0, 1, points), method="inverted_cdf"))
        return Grid(columns, values[:, None], values)
    codes, counts = np.unique(column, return_counts=True)
    kept = np.sort(np.argsort(-counts, kind="stable")[:points])
    levels = ", ".join(f"{code:g} = {table.show(int(columns[0]), code)}" for code in codes[kept])
    return Grid(columns, codes[kept][:, None], codes[kept], f"{name}: {levels}", len(codes) - len(kept))


def legend(found: Sequence[Grid]) -> tuple[str, ...]:
    """What the points of levels and groups stand for."""
    return tuple(grid.told for grid in found if grid.told)


def shortened(case: Case, found: Sequence[Grid]) -> tuple[Note, ...]:
    """A note where a column has more levels than points."""
    cut = [f"{name} ({grid.left})" for name, grid in zip(case.features.names, found) if grid.left]
    text = f"curves of {', '.join(cut)} leave out levels, the rarest; raise points to have them"
    return (Note("levels", text),) if cut else ()


def moved(other: Floats, *places: tuple[Ints, Floats]) -> Floats:
    """Every row of ``other`` at every point, point by point: (point · row, column)."""
    points = len(places[0][1])
    rows = np.tile(other, (points, 1))
    for columns, contents in places:
        rows[:, columns] = np.repeat(contents, len(other), axis=0)
    return rows


def as_rows(case: Case, matrix: Floats) -> Array:
    """A matrix in the namespace and type of the case's rows."""
    x = case.rows.x
    where = {"device": x.device} if is_torch_array(x) else {}
    return array_namespace(x).asarray(matrix, dtype=x.dtype, **where)


def answers(case: Case, matrix: Floats, labels: Floats | Ints) -> Floats:
    """The target (label, row) at rows the case does not hold, asked once for all labels."""
    out = to_floats(case.outputs(as_rows(case, matrix), np.zeros(len(matrix), dtype=np.int64)))
    read, gives = case.target.read, case.model.gives
    return np.stack([to_floats(read(out, np.full(len(out), label), gives)) for label in labels])


def mean_curve(values: Floats) -> tuple[Floats, Floats]:
    """Mean over the last axis and its standard error; NaN errors for a single row."""
    rows = values.shape[-1]
    spread = values.std(axis=-1, ddof=1) / np.sqrt(rows) if rows > 1 else np.full(values.shape[:-1], np.nan)
    return values.mean(axis=-1), spread


def padded(curves: Sequence[Floats], sides: int = 1) -> Floats:
    """Arrays that differ in their last ``sides`` axes as one, stacked before these; NaN where one has no more."""
    shape = np.max([curve.shape[-sides:] for curve in curves], axis=0)
    ends = [shape - curve.shape[-sides:] for curve in curves]
    fitted = [
        np.pad(curve, [(0, 0)] * (curve.ndim - sides) + [(0, int(n)) for n in end], constant_values=np.nan)
        for curve, end in zip(curves, ends)
    ]
    return np.stack(fitted, axis=-sides - 1)


def places(case: Case, pairs: Pairs) -> list[tuple[int, int]]:
    """Pairs of parts by position; ``InputError`` for a name that is not there, or a part paired with itself."""
    names = {name: i for i, name in enumerate(case.features.names)}
    for pair in pairs:
        strange = [name for name in pair if name not in names]
        if strange or len(set(pair)) != 2:
            raise InputError(
                f"pairs names {tuple(pair)!r}; a pair is two different parts among {', '.join(list(names)[:8])}."
            )
    return [(names[a], names[b]) for a, b in pairs]
