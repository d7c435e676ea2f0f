# SPDX-License-Identifier: Apache-2.0
"""Pictures that classes or units respond to most, each next to the real row with the highest response."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.nouns.records.record import Record
from assay.nouns.results.result import Explanation
from assay.report.audit.unit_regions import image_of
from assay.report.drawing.formatting import format_number
from assay.report.drawing.small_pictures import largest_that_fits, small_picture

BUDGET = 16_000
"""Characters of all pictures together."""

TRIES = ((6, 48), (4, 48), (4, 32), (2, 32), (1, 32), (1, 20))
"""(Units, pixels a side), tried from the largest."""


@dataclass(frozen=True)
class UnitPicture:
    """One unit: its picture, the real row with the highest response (its image may be empty), and the responses."""

    unit: str
    picture: str
    reached: str
    row: str
    image: str
    best: str
    noise: str

    @property
    def size(self) -> int:
        """Characters of both images."""
        return len(self.picture) + len(self.image)


def draw_unit_pictures(record: Record, explanation: Explanation) -> tuple[UnitPicture, ...]:
    """The pictures of a feature visualisation that fit; empty where an explanation has none."""
    pictures = explanation.extra.get("pictures")
    if pictures is None or np.ndim(pictures) != 4 or np.shape(pictures)[1] not in (1, 3):
        return ()

    def draw(size: tuple[int, int]) -> tuple[UnitPicture, ...]:
        return tuple(_one(record, explanation, place, size[1]) for place in range(min(size[0], len(pictures))))

    return largest_that_fits(TRIES, draw, lambda one: one.size, BUDGET)


def _one(record: Record, explanation: Explanation, place: int, side: int) -> UnitPicture:
    extra = explanation.extra
    row = explanation.ids[int(extra["best_row"][place])]
    name = explanation.description[place].partition(":")[0] if explanation.description else str(place)
    return UnitPicture(
        name,
        small_picture(extra["pictures"][place], side),
        format_number(float(extra["reached"][place]), 3),
        row,
        image_of(record, row, side),
        format_number(float(extra["best_value"][place]), 3),
        format_number(float(extra["noise"][place, 0]), 3),
    )
