# SPDX-License-Identifier: Apache-2.0
"""The training rows that act most on the rows a page shows, with their pictures, texts or the cells that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.read_inputs import texts
from assay.engine.pictures.thumbnails import is_shape_of_picture, thumbnail
from assay.nouns.inputs.rows import to_floats
from assay.nouns.records.record import Gallery, RowInfluence, TrainingRow
from assay.nouns.results.result import Explanation

ROWS, EACH, CELLS = 6, 3, 4
"""Rows explained that are described, training rows on either side of each, and cells named of a table's row."""

LETTERS = 240
"""Letters of a text that are kept."""


def row_influences(
    case: Case, found: Explanation | None, train: Any, galleries: Sequence[Gallery]
) -> tuple[RowInfluence, ...]:
    """The strongest training rows for the first rows of the galleries, wrong decisions first; empty without a view."""
    if found is None or train is None:
        return ()
    content = _content(case, train[0])
    lines = []
    for row in _shown(len(found.ids), galleries):
        values, order = found.values[row], np.argsort(found.values[row], kind="stable")
        falls = [int(i) for i in order[:EACH] if values[i] < 0]
        rises = [int(i) for i in order[::-1][:EACH] if values[i] > 0]
        supports, opposes = (
            tuple(_training_row(found, content, row, one, _label(case, found, one)) for one in side)
            for side in (falls, rises)
        )
        lines.append(RowInfluence(found.ids[row], _target(case, row), supports, opposes, content.own_text(row)))
    return tuple(lines)


def _shown(rows: int, galleries: Sequence[Gallery]) -> list[int]:
    """Rows of the galleries in turn, those of wrong decisions first; the first rows where there is no gallery."""
    ordered = sorted(galleries, key=lambda gallery: not gallery.name.startswith(("wrong", "largest errors")))
    turns = [row for place in range(ROWS) for one in ordered for row in one.rows[place : place + 1]]
    known = [row for row in dict.fromkeys(turns) if row < rows]
    return known[:ROWS] or list(range(min(rows, ROWS)))


def _target(case: Case, row: int) -> str:
    """What the effects at a row are in: the target, with its class by name or position."""
    has_classes = case.model.kind.is_classifier or case.model.output_names
    return f"{case.target.name} of {case.classes[row]}" if has_classes else case.target.name


def _label(case: Case, found: Explanation, one: int) -> str:
    """The label of a training row: the name of its class, or its value; empty where it is unknown."""
    given = found.extra.get("train_label")
    if given is None:
        return ""
    value = float(np.ravel(given[one])[0])
    return case.model.classes[int(value)] if case.model.classes else f"{value:.6g}"


def _training_row(found: Explanation, content: _Content, row: int, one: int, label: str) -> TrainingRow:
    effect = float(found.values[row, one])
    return TrainingRow(found.features.names[one], label, effect, content.text(row, one), content.picture(one))


@dataclass(frozen=True, eq=False)
class _Content:
    """Training rows as texts, pictures or a matrix (row, column) of the kind of the rows explained; one is not None."""

    case: Case
    sources: Sequence[str] | None = None
    pictures: Any = None
    matrix: Floats | None = None

    def text(self, row: int, one: int) -> str:
        """The training row's text, or its cells that differ most from the row explained, in standard deviations."""
        if self.sources is not None:
            return _cut(self.sources[one])
        if self.matrix is None:
            return ""
        own, other = to_floats(self.case.rows.x)[row], self.matrix[one]
        order = self._most_different(own, other)
        name, cell = self._names(), self._cell
        told = [f"{name[j]} {cell(j, other[j])}, not {cell(j, own[j])}" for j in order[:CELLS]]
        more = f" and {len(order) - CELLS} more" if len(order) > CELLS else ""
        return "; ".join(told) + more if told else "equal in all columns"

    def own_text(self, row: int) -> str:
        """The text of the row explained."""
        text = self.case.rows.text
        return _cut(str(text.source[row])) if text is not None and text.source else ""

    def picture(self, one: int) -> Floats | None:
        """The training row's image, small."""
        return None if self.pictures is None else thumbnail(to_floats(self.pictures[one]))

    def _most_different(self, own: Floats, other: Floats) -> Ints:
        """Columns that differ, the largest difference first; of coded columns each difference counts as one."""
        assert self.matrix is not None
        table = self.case.rows.table
        coded = np.zeros(len(own), dtype=bool) if table is None else np.asarray(table.coded)
        spread = np.where(coded, 1.0, np.nanstd(self.matrix, axis=0))
        gap = np.abs(other - own) / np.where(spread > 0, spread, 1.0)
        gap = np.where(coded, (other != own) * 1.0, gap)
        gap = np.where(np.isnan(own) != np.isnan(other), 1.0, np.nan_to_num(gap))
        order = np.argsort(-gap, kind="stable")
        return np.asarray(order[gap[order] > 0])

    def _names(self) -> tuple[str, ...]:
        table, features = self.case.rows.table, self.case.features
        if table is not None:
            return tuple(table.names)
        whole = features.elementwise and len(features.names) == self.case.rows.shape[0]
        return tuple(features.names) if whole else tuple(map(str, range(self.case.rows.shape[0])))

    def _cell(self, place: int, value: float) -> str:
        table = self.case.rows.table
        return table.format_cell(place, value) if table is not None else f"{value:.4g}"


def _content(case: Case, rows: Any) -> _Content:
    """Training rows in the form of the rows explained."""
    if case.model.encode is not None:
        return _Content(case, sources=[str(one) for one in texts(rows)])
    shape = case.rows.shape
    if is_shape_of_picture(shape):
        return _Content(case, pictures=case.rows.convert(rows))
    return _Content(case, matrix=to_floats(case.rows.convert(rows))) if len(shape) == 1 else _Content(case)


def _cut(text: str) -> str:
    return text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"
