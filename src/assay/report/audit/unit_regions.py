# SPDX-License-Identifier: Apache-2.0
"""Where the input acts on the most influential units of a layer, as small maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.types import Floats
from assay.nouns.records.record import Record
from assay.nouns.results.result import Explanation
from assay.report.drawing.image_maps import has_images
from assay.report.drawing.small_pictures import largest_that_fits, small_map, small_picture

BUDGET = 12_000
"""Characters of all maps and images together."""

TRIES = ((3, 48), (2, 48), (2, 32), (1, 32), (1, 20))
"""(Images, pixels a side), tried from the largest."""


@dataclass(frozen=True)
class UnitRegion:
    """The map of one unit on one image."""

    unit: str
    map: str


@dataclass(frozen=True)
class RegionRow:
    """One image with the maps of the units, each on a colour scale of its own; ``image`` may be empty."""

    row: str
    image: str
    units: tuple[UnitRegion, ...]

    @property
    def size(self) -> int:
        """Characters of the image and of all maps."""
        return len(self.image) + sum(len(unit.map) for unit in self.units)


def draw_regions(record: Record, explanation: Explanation) -> tuple[RegionRow, ...]:
    """The regions of an explanation of units at the images where the units act most; empty where it has none."""
    regions = explanation.extra.get("regions")
    if regions is None or np.ndim(regions) != 5:
        return ()
    maps = np.nan_to_num(np.asarray(regions).sum(axis=2))  # over channels: (unit, row, height, width)
    names = [explanation.features.names[int(unit)] for unit in explanation.extra["order"][: len(maps)]]
    strength = np.abs(maps).sum(axis=(0, 2, 3))
    order = np.argsort(-strength, kind="stable")

    def draw(size: tuple[int, int]) -> tuple[RegionRow, ...]:
        return tuple(_row(record, explanation, maps[:, row], names, int(row), size[1]) for row in order[: size[0]])

    return largest_that_fits(TRIES, draw, lambda one: one.size, BUDGET)


def _row(record: Record, explanation: Explanation, maps: Floats, names: list[str], row: int, side: int) -> RegionRow:
    units = tuple(UnitRegion(name, small_map(one, side)) for name, one in zip(names, maps))
    return RegionRow(explanation.ids[row], image_of(record, explanation.ids[row], side), units)


def image_of(record: Record, row: str, side: int) -> str:
    """The image of a row, from an explanation of the images; empty where there is none."""
    for explanation in record.explanations.values():
        if has_images(explanation) and row in explanation.ids:
            return small_picture(np.asarray(explanation.x[explanation.ids.index(row)]), side)
    return ""
