# SPDX-License-Identifier: Apache-2.0
"""The training rows that support and oppose the decisions on some rows, with pictures, texts or cells that differ."""

from __future__ import annotations

from dataclasses import dataclass

from assay.nouns.records.record import Record, RowInfluence, TrainingRow
from assay.report.audit.unit_regions import image_of
from assay.report.drawing.formatting import format_number, shorten
from assay.report.drawing.small_pictures import largest_that_fits, small_picture

BUDGET = 14_000
"""Characters of all pictures and texts together."""

TRIES = ((3, 3, 48), (3, 2, 40), (3, 2, 28), (2, 2, 28), (1, 2, 28), (1, 1, 20))
"""(Rows explained, training rows on either side, pixels a side), tried from the largest."""

LETTERS = 160
"""Letters of a text or of the cells that differ."""


@dataclass(frozen=True)
class InfluentialRow:
    """One training row: name, label, picture (may be empty), text (may be empty), and its effect as text."""

    row: str
    label: str
    picture: str
    text: str
    effect: str


@dataclass(frozen=True)
class InfluenceLine:
    """A row explained, its image and text (may be empty), and the training rows on both sides.

    ``true`` is its true class or value; empty where it is unknown or decided.
    """

    row: str
    target: str
    true: str
    image: str
    text: str
    supports: tuple[InfluentialRow, ...]
    opposes: tuple[InfluentialRow, ...]

    @property
    def rows(self) -> tuple[tuple[str, InfluentialRow], ...]:
        """The training rows of both sides, with the name of the side."""
        return (*(("supports", one) for one in self.supports), *(("opposes", one) for one in self.opposes))

    @property
    def has_pictures(self) -> bool:
        """Whether the training rows are pictures."""
        return any(one.picture for _, one in self.rows)

    @property
    def size(self) -> int:
        """Characters of its pictures and texts, with their tags."""
        return len(self.image) + len(self.text) + sum(len(one.picture) + len(one.text) + 120 for _, one in self.rows)


def draw_influences(record: Record) -> tuple[InfluenceLine, ...]:
    """The rows explained with their training rows, as many and as large as the budget allows."""

    def draw(size: tuple[int, int, int]) -> tuple[InfluenceLine, ...]:
        rows, each, side = size
        return tuple(_line(record, one, each, side) for one in record.influences[:rows])

    return largest_that_fits(TRIES, draw, lambda line: line.size, BUDGET)


def _line(record: Record, one: RowInfluence, each: int, side: int) -> InfluenceLine:
    supports, opposes = (tuple(_training_row(row, side) for row in rows[:each]) for rows in (one.supports, one.opposes))
    image = image_of(record, one.row, side)
    true = _true_class(record, one.row)
    return InfluenceLine(one.row, one.target, true, image, shorten(one.text, LETTERS), supports, opposes)


def _true_class(record: Record, row: str) -> str:
    """The true class of a row whose decision is wrong, or its true value; else empty."""
    ids = next((explanation.ids for explanation in record.explanations.values() if row in explanation.ids), ())
    place = ids.index(row) if ids else len(record.truth)
    true = record.truth[place] if place < len(record.truth) else ""
    decided = record.predictions[place] if place < len(record.predictions) else ""
    return "" if true == decided else true


def _training_row(one: TrainingRow, side: int) -> InfluentialRow:
    picture = "" if one.picture is None else small_picture(one.picture, side)
    sign = "+" if one.effect > 0 else ""
    return InfluentialRow(one.row, one.label, picture, shorten(one.text, LETTERS), sign + format_number(one.effect))
