# SPDX-License-Identifier: Apache-2.0
"""Where the input acts on the most influential units of a layer, as small maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.types import Floats
from assay.nouns.records.record import Record
from assay.nouns.results.result import Explanation
from assay.report.drawing.colours import DIVERGING, colour_levels
from assay.report.drawing.formatting import shorten
from assay.report.drawing.image_maps import colour_scale, encode_image, has_images
from assay.report.drawing.png import data_uri, downsample, encode_png

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


def draw_regions(record: Record, explanation: Explanation) -> tuple[RegionRow, ...]:
    """The regions of an explanation of units at the images where the units act most; empty where it has none."""
    regions = explanation.extra.get("regions")
    if regions is None or np.ndim(regions) != 5:
        return ()
    maps = np.nan_to_num(np.asarray(regions).sum(axis=2))  # over channels: (unit, row, height, width)
    names = [explanation.features.names[int(unit)] for unit in explanation.extra["order"][: len(maps)]]
    strength = np.abs(maps).sum(axis=(0, 2, 3))
    order = np.argsort(-strength, kind="stable")
    drawn: tuple[RegionRow, ...] = ()
    for count, side in TRIES:
        drawn = tuple(_row(record, explanation, maps[:, row], names, int(row), side) for row in order[:count])
        if sum(len(one.image) + sum(len(unit.map) for unit in one.units) for one in drawn) <= BUDGET:
            return drawn
    return ()


def _row(record: Record, explanation: Explanation, maps: Floats, names: list[str], row: int, side: int) -> RegionRow:
    units = tuple(UnitRegion(shorten(name, 24), _encode(one, side)) for name, one in zip(names, maps))
    return RegionRow(explanation.ids[row], image_of(record, explanation.ids[row], side), units)


def _encode(values: Floats, side: int) -> str:
    small = downsample(values, side)
    high = colour_scale(small)
    return data_uri(encode_png(colour_levels(small, -high, high), DIVERGING))


def image_of(record: Record, row: str, side: int) -> str:
    """The image of a row, from an explanation of the images; empty where there is none."""
    for explanation in record.explanations.values():
        if has_images(explanation) and row in explanation.ids:
            x = np.asarray(explanation.x[explanation.ids.index(row)], dtype=np.float64)
            return encode_image(x, side)[0]
    return ""
