# SPDX-License-Identifier: Apache-2.0
"""Attributions of images: the image, the map of the predicted class and that of the runner-up, on one colour scale."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assay.basics.types import Floats
from assay.nouns.records.record import Record
from assay.nouns.results.result import Explanation
from assay.report.drawing.colours import DIVERGING, MAGNITUDE, Bytes, colour_levels, css_gradient
from assay.report.drawing.formatting import format_number
from assay.report.drawing.png import data_uri, downsample, encode_png, palette

MAX_IMAGES = 6
MAX_METHODS = 12
COLOURS = 48
BUDGET = 110_000
"""Characters of all images of a page; maps shrink, then images are left out, until they fit."""

SIZES = ((144, 96), (128, 80), (112, 64), (96, 48), (80, 32))
"""Pixels a side of (images, maps), tried from the largest."""


@dataclass(frozen=True)
class MapPair:
    """One method on one image: the map of the class explained, that of the runner-up if any, and their colour scale."""

    method: str
    label: str
    map: str
    rival: str
    rival_map: str
    low: str
    high: str
    gradient: str


@dataclass(frozen=True)
class ImageView:
    """One image with the maps of each method; ``true`` is the true class, empty where it is unknown.

    ``image`` is empty where the page has the image already, under ``anchor``.
    """

    anchor: str
    position: int
    row: str
    predicted: str
    true: str
    image: str
    is_stretched: bool
    maps: tuple[MapPair, ...]


@dataclass(frozen=True)
class ImageMaps:
    """The images that fit on the page, and how many rows and methods there are in all."""

    views: tuple[ImageView, ...] = ()
    rows: int = 0
    methods: int = 0
    methods_drawn: int = 0
    pixels: int = 0


def has_images(explanation: Explanation) -> bool:
    """Whether the rows are images: (row, 1 or 3, height, width)."""
    shape = np.shape(explanation.x)
    return len(shape) == 4 and shape[1] in (1, 3)


def image_anchor(row: int) -> str:
    """The id of a row's image on the page."""
    return f"image-{row}"


def image_size(explanation: Explanation) -> tuple[int, int]:
    """Width and height of the images that an explanation is about."""
    height, width = np.shape(explanation.x)[-2:]
    return int(width), int(height)


def draw_images(
    record: Record, *, chosen_rows: Sequence[int] = (), spent: int = 0, known: Collection[str] = ()
) -> ImageMaps:
    """The images of a record at the largest size that fits into the budget less ``spent`` characters.

    ``chosen_rows`` are the rows to draw, by default the first ones; ``known`` has the anchors of images that are on the
    page already.
    """
    chosen = {n: e for n, e in record.explanations.items() if n not in record.references and has_images(e)}
    if not chosen:
        return ImageMaps()
    drawn = dict(list(chosen.items())[:MAX_METHODS])
    rows = len(next(iter(chosen.values())).ids)
    order = tuple(chosen_rows) or tuple(range(rows))
    count = min(len(order), MAX_IMAGES)
    tries = [(count, *sizes) for sizes in SIZES] + [(fewer, *SIZES[-1]) for fewer in range(count - 1, 0, -1)]
    for number_of, pixels, map_size in tries:
        views = tuple(_image_view(record, drawn, row, pixels, map_size, known) for row in order[:number_of])
        if sum(len(v.image) + sum(len(p.map) + len(p.rival_map) for p in v.maps) for v in views) <= BUDGET - spent:
            break
    return ImageMaps(views, rows, len(chosen), len(drawn), map_size)


def _image_view(
    record: Record,
    explanations: Mapping[str, Explanation],
    row: int,
    pixels: int,
    map_size: int,
    known: Collection[str],
) -> ImageView:
    first = next(iter(explanations.values()))
    image, is_stretched = encode_image(np.asarray(first.x[row], dtype=np.float64), pixels)
    labels = record.predictions or first.labels
    maps = tuple(draw_map_pair(name, e, record.rivals.get(name), row, map_size) for name, e in explanations.items())
    predicted = labels[row] if row < len(labels) else ""
    true = record.truth[row] if row < len(record.truth) else ""
    anchor = image_anchor(row)
    return ImageView(anchor, row, first.ids[row], predicted, true, "" if anchor in known else image, is_stretched, maps)


def encode_image(image: Floats, most: int) -> tuple[str, bool]:
    """An image (channel, height, width) as a data URI, and whether its value range was stretched."""
    pixels, is_stretched = stretched_pixels(image, most)
    return data_uri(encode_png(*palette(pixels, COLOURS))), is_stretched


def stretched_pixels(image: Floats, most: int) -> tuple[Bytes, bool]:
    """An image (channel, height, width) as pixels (height, width, 3), and whether its value range was stretched.

    Values in 0 … 1 and 0 … 255 are displayed as they are; any other range is mapped from its minimum … maximum.
    """
    low, high = float(image.min()), float(image.max())
    is_stretched = low < 0 or high > 255
    if is_stretched:
        image = (image - low) / (high - low) * 255 if high > low else image * 0
    elif high <= 1:
        image = image * 255
    small = downsample(np.moveaxis(image, 0, -1), most)
    bytes_: Bytes = np.round(small).clip(0, 255).astype(np.uint8)
    return np.repeat(bytes_, 3, axis=-1) if bytes_.shape[-1] == 1 else bytes_, is_stretched


def attribution_map(explanation: Explanation, row: int) -> Floats:
    """One row's attributions as (height, width): elements are summed over channels, a patch has its own value."""
    if explanation.dense is not None:
        return np.asarray(explanation.dense[row].sum(axis=0))
    features = explanation.features.at(np.array([row]))
    values = features.map(explanation.values[row : row + 1])[0]
    return np.asarray(values.sum(axis=0) if features.elementwise else values.mean(axis=0))


def colour_scale(*maps: Floats) -> float:
    """The 99th percentile of |value| over all maps on this scale; larger values get its end colour."""
    sizes = np.abs(np.concatenate([m.ravel() for m in maps]))
    sizes = sizes[np.isfinite(sizes)]
    return float(np.quantile(sizes, 0.99, method="higher")) if len(sizes) else 0.0


def lowest_value(*maps: Floats) -> float:
    """The smallest finite value over all maps on a scale without a sign; 0 where there is none."""
    values = np.concatenate([m.ravel() for m in maps])
    values = values[np.isfinite(values)]
    return float(values.min()) if len(values) else 0.0


def draw_map_pair(name: str, explanation: Explanation, rival: Explanation | None, row: int, most: int) -> MapPair:
    """One method's map of one row and that of the runner-up, at most ``most`` pixels a side, on one colour scale."""
    own = downsample(attribution_map(explanation, row), most)
    other = downsample(attribution_map(rival, row), most) if rival is not None else None
    maps = [own] if other is None else [own, other]
    is_signed = bool(
        (explanation.values < 0).any() or (explanation.dense is not None and (explanation.dense < 0).any())
    )
    table = DIVERGING if is_signed else MAGNITUDE
    high = colour_scale(*maps)
    low = -high if is_signed else lowest_value(*maps)
    files = [data_uri(encode_png(colour_levels(m, low, high), table)) for m in maps]
    return MapPair(
        method=name,
        label=explanation.labels[row] if explanation.labels else "",
        map=files[0],
        rival=rival.labels[row] if rival is not None and rival.labels else "runner-up" if rival is not None else "",
        rival_map=files[1] if other is not None else "",
        low=format_number(low),
        high=format_number(high),
        gradient=css_gradient(table),
    )
