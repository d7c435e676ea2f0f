# SPDX-License-Identifier: Apache-2.0
"""Rows worth looking at: what the most trusted method says of each, for its class and for the runner-up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from assay.nouns.records.record import Gallery, Record
from assay.nouns.results.result import Explanation
from assay.report.audit.summary import TRUST
from assay.report.drawing.bars import Chart, paired
from assay.report.drawing.image_maps import SIZES, Panel, panel, pictorial, picture_of

ROWS = 6
"""Rows of a gallery that are drawn."""

BUDGET = 80_000
"""Characters that the pictures of all galleries may take together."""


@dataclass(frozen=True)
class Card:
    """One row: as bars or as pictures, or (``above``) the name of the gallery that shows it already."""

    place: str
    row: str
    predicted: str
    true: str
    above: str = ""
    chart: Chart | None = None
    picture: str = ""
    panel: Panel | None = None

    @property
    def size(self) -> int:
        """Characters of its pictures."""
        return len(self.picture) + (len(self.panel.map) + len(self.panel.rival_map) if self.panel else 0)


@dataclass(frozen=True)
class Room:
    """A gallery as it is hung."""

    gallery: Gallery
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Rooms:
    """All galleries, the method that explains in them, and whether it may be relied on."""

    rooms: tuple[Room, ...] = ()
    method: str = ""
    relied: bool = False
    rival: bool = False
    mirrored: bool = False

    @property
    def size(self) -> int:
        """Characters of all pictures."""
        return sum(card.size for room in self.rooms for card in room.cards)

    @property
    def pictures(self) -> bool:
        """Whether the rows are pictures."""
        return any(card.picture for room in self.rooms for card in room.cards)


def trusted(record: Record) -> tuple[str, bool]:
    """The explanation that galleries draw, and whether it may be relied on.

    The first that may be relied on and speaks of the runner-up, too; else the first that may be relied on; else the
    first there is.
    """
    relied = {f.subject for f in record.findings if f.code.startswith(TRUST) and f.verdict == "pass"}
    own = [name for name in record.explanations if name not in record.references]
    passed = [name for name in own if name in relied]
    both = [name for name in passed if name in record.rivals]
    return (both or passed or own or [""])[0], bool(passed)


def rooms(record: Record) -> Rooms:
    """The galleries of a record; pictures at the largest size that fits, then fewer rows."""
    name, relied = trusted(record)
    if not name or not record.galleries:
        return Rooms()
    explanation, rival = record.explanations[name], record.rivals.get(name)
    classes = {*explanation.labels, *(rival.labels if rival is not None else ())}
    hung = Rooms(method=name, relied=relied, rival=rival is not None, mirrored=rival is not None and len(classes) == 2)
    tries = [(ROWS, *size) for size in SIZES] + [(rows, *SIZES[-1]) for rows in range(ROWS - 1, 0, -1)]
    for rows, large, small in tries if pictorial(explanation) else [(ROWS, 0, 0)]:
        hung = replace(hung, rooms=_hung(record, explanation, rows, (large, small)))
        if hung.size <= BUDGET:
            break
    return hung


def _hung(record: Record, explanation: Explanation, most: int, sizes: tuple[int, int]) -> tuple[Room, ...]:
    seen: dict[int, str] = {}
    found = []
    for gallery in record.galleries:
        cards = []
        for row in [row for row in gallery.rows if row < len(explanation.ids)][:most]:
            card = Card(f"row-{row}", explanation.ids[row], _at(record.predictions, row), _at(record.truth, row))
            if row in seen:
                cards.append(replace(card, above=seen[row]))
            else:
                cards.append(_drawn(record, explanation, row, card, sizes))
                seen[row] = gallery.name
        found.append(Room(gallery, tuple(cards)))
    return tuple(found)


def _at(names: Sequence[str], row: int) -> str:
    return names[row] if row < len(names) else ""


def _drawn(record: Record, explanation: Explanation, row: int, card: Card, sizes: tuple[int, int]) -> Card:
    rival = record.rivals.get(explanation.method)
    if not pictorial(explanation):
        return replace(card, chart=paired(explanation, rival, row))
    picture, _ = picture_of(np.asarray(explanation.x[row], dtype=np.float64), sizes[0])
    return replace(card, picture=picture, panel=panel(explanation.method, explanation, rival, row, sizes[1]))
