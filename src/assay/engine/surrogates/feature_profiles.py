# SPDX-License-Identifier: Apache-2.0
"""Feature profiles: the target while a column, or a group of columns, takes the values of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError
from assay.basics.types import Array, Floats, Ints
from assay.cases.case import Case
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Note

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, eq=False)
class Grid:
    """The grid of a feature: the values of its ``columns`` (point, column), and one number per point (point,).

    The number is the column's own value, NaN for a last point that is missing; the code of a level; for a group of
    columns the number of the background row that the point is taken from. ``description`` explains codes and row
    numbers; ``omitted`` counts levels left out.
    """

    columns: Ints
    contents: Floats
    points: Floats
    description: str = ""
    omitted: int = 0

    def __len__(self) -> int:
        return len(self.points)


def build_grids(case: Case, background: Floats, points: int) -> list[Grid]:
    """One grid per feature, from the background (row, column)."""
    if points < 2:
        raise InputError(f"points={points}; a curve has at least 2.")
    return [_grid(case, background, part, points) for part in range(len(case.features))]


def _grid(case: Case, background: Floats, part: int, points: int) -> Grid:
    columns, name = np.flatnonzero(case.features.index == part), case.features.names[part]
    table = case.rows.table
    if len(columns) > 1:
        rows = np.unique(np.linspace(0, len(background) - 1, points).round().astype(np.int64))
        return Grid(columns, background[rows][:, columns], rows.astype(np.float64), f"{name}: rows of the background")
    column = background[:, columns[0]]
    if table is None or not table.coded[columns[0]]:
        known = column[~np.isnan(column)]
        values = (
            np.unique(np.quantile(known, np.linspace(0, 1, points), method="inverted_cdf")) if len(known) else known
        )
        if len(known) == len(column):
            return Grid(columns, values[:, None], values)
        values = np.append(values, np.nan)
        return Grid(columns, values[:, None], values, f"{name}: point {len(values) - 1} is missing")
    codes, counts = np.unique(column, return_counts=True)
    frequent = codes[np.sort(np.argsort(-counts, kind="stable")[:points])]
    levels = ", ".join(f"{code:g} = {table.format_cell(int(columns[0]), code)}" for code in frequent)
    return Grid(columns, frequent[:, None], frequent, f"{name}: {levels}", len(codes) - len(frequent))


def describe_points(grids: Sequence[Grid]) -> tuple[str, ...]:
    """Text for the points of levels and groups: the meaning of codes and row numbers."""
    return tuple(grid.description for grid in grids if grid.description)


def omitted_levels_note(case: Case, grids: Sequence[Grid]) -> tuple[Note, ...]:
    """A note where a column has more levels than points."""
    cut = [f"{name} ({grid.omitted})" for name, grid in zip(case.features.names, grids) if grid.omitted]
    text = f"the rarest levels are omitted from the curves of {', '.join(cut)}; raise points to include them"
    return (Note("levels", text),) if cut else ()


def substitute(background: Floats, *replaced: tuple[Ints, Floats]) -> Floats:
    """Every row of ``background`` with each grid point's values: (point · row, column).

    ``replaced`` are pairs of columns and their values (point, column).
    """
    points = len(replaced[0][1])
    rows = np.tile(background, (points, 1))
    for columns, contents in replaced:
        rows[:, columns] = np.repeat(contents, len(background), axis=0)
    return rows


def as_rows(case: Case, matrix: Floats) -> Array:
    """A matrix with the namespace, dtype and device of the case's rows."""
    x = case.rows.x
    where = {"device": x.device} if is_torch_array(x) else {}
    return array_namespace(x).asarray(matrix, dtype=x.dtype, **where)


def evaluate_labels(case: Case, matrix: Floats, labels: Floats | Ints) -> Floats:
    """The target (label, row) of rows that are not in the case; one model evaluation per row for all labels."""
    out = to_floats(case.outputs(as_rows(case, matrix), np.zeros(len(matrix), dtype=np.int64)))
    read, gives = case.target.read, case.model.gives
    return np.stack([to_floats(read(out, np.full(len(out), label), gives)) for label in labels])


def mean_curve(values: Floats) -> tuple[Floats, Floats]:
    """Mean over the last axis and its standard error; NaN errors for a single row."""
    rows = values.shape[-1]
    error = values.std(axis=-1, ddof=1) / np.sqrt(rows) if rows > 1 else np.full(values.shape[:-1], np.nan)
    return values.mean(axis=-1), error


def stack_padded(curves: Sequence[Floats], axes: int = 1) -> Floats:
    """Stack arrays that differ in their last ``axes`` axes on a new axis before these, padded with NaN."""
    shape = np.max([curve.shape[-axes:] for curve in curves], axis=0)
    missing = [shape - curve.shape[-axes:] for curve in curves]
    padded = [
        np.pad(curve, [(0, 0)] * (curve.ndim - axes) + [(0, int(n)) for n in ends], constant_values=np.nan)
        for curve, ends in zip(curves, missing)
    ]
    return np.stack(padded, axis=-axes - 1)


def pair_positions(case: Case, pairs: Pairs) -> list[tuple[int, int]]:
    """Pairs of features as positions; ``InputError`` for an unknown name or a feature paired with itself."""
    names = {name: i for i, name in enumerate(case.features.names)}
    for pair in pairs:
        unknown = [name for name in pair if name not in names]
        if unknown or len(set(pair)) != 2:
            raise InputError(
                f"pairs names {tuple(pair)!r}; a pair is two different features among {', '.join(list(names)[:8])}."
            )
    return [(names[a], names[b]) for a, b in pairs]
