# SPDX-License-Identifier: Apache-2.0
"""Explanations of images as pictures: the image, the predicted class's map and the runner-up's, on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assay.basics.types import Floats
from assay.nouns.records.record import Record
from assay.nouns.results.result import Explanation
from assay.report.drawing.colours import DIVERGING, MAGNITUDE, Bytes, gradient, levels
from assay.report.drawing.formatting import number
from assay.report.drawing.png import data_uri, palette, png, shrunk

IMAGES = 6
METHODS = 12
COLOURS = 48
BUDGET = 150_000
"""Characters that all pictures of a page may take together; maps shrink, then images go, until they fit."""

SIZES = ((144, 96), (128, 80), (112, 64), (96, 48), (80, 32))
"""Pixels a side of images and of maps, tried from the largest."""


@dataclass(frozen=True)
class Panel:
    """One method on one image: the predicted class's map, the runner-up's if there is one, and their common scale."""

    method: str
    label: str
    map: str
    rival: str
    rival_map: str
    low: str
    high: str
    ramp: str


@dataclass(frozen=True)
class Scene:
    """One image and what each method says about it."""

    row: str
    prediction: str
    picture: str
    stretched: bool
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Album:
    """The scenes that fit, and what was left out."""

    scenes: tuple[Scene, ...] = ()
    rows: int = 0
    methods: int = 0
    shown: int = 0
    pixels: int = 0


def pictorial(explanation: Explanation) -> bool:
    """Whether the rows are images: (row, 1 or 3, height, width)."""
    shape = np.shape(explanation.x)
    return len(shape) == 4 and shape[1] in (1, 3)


def album(record: Record, *, chosen_rows: Sequence[int] = (), spent: int = 0) -> Album:
    """The pictures of a record, at the largest size that fits what is left of the budget once ``spent`` is gone.

    ``chosen_rows`` are the rows drawn; without any the first ones are.
    """
    chosen = {n: e for n, e in record.explanations.items() if n not in record.references and pictorial(e)}
    if not chosen:
        return Album()
    shown = dict(list(chosen.items())[:METHODS])
    rows = len(next(iter(chosen.values())).ids)
    order = tuple(chosen_rows) or tuple(range(rows))
    count = min(len(order), IMAGES)
    tries = [(count, *sizes) for sizes in SIZES] + [(fewer, *SIZES[-1]) for fewer in range(count - 1, 0, -1)]
    for number_of, large, small in tries:
        scenes = tuple(_scene(record, shown, row, large, small) for row in order[:number_of])
        if sum(len(s.picture) + sum(len(p.map) + len(p.rival_map) for p in s.panels) for s in scenes) <= BUDGET - spent:
            break
    return Album(scenes, rows, len(chosen), len(shown), small)


def _scene(record: Record, shown: Mapping[str, Explanation], row: int, large: int, small: int) -> Scene:
    first = next(iter(shown.values()))
    picture, stretched = picture_of(np.asarray(first.x[row], dtype=np.float64), large)
    labels = record.predictions or first.labels
    panels = tuple(panel(name, e, record.rivals.get(name), row, small) for name, e in shown.items())
    return Scene(first.ids[row], labels[row] if row < len(labels) else "", picture, stretched, panels)


def picture_of(image: Floats, most: int) -> tuple[str, bool]:
    """An image (channel, height, width) as a data address, and whether its range had to be stretched to be seen.

    Values in 0 … 1 and 0 … 255 are shown as they are; any other range is stretched from its least to its greatest.
    """
    low, high = float(image.min()), float(image.max())
    stretched = low < 0 or high > 255
    if stretched:
        image = (image - low) / (high - low) * 255 if high > low else image * 0
    elif high <= 1:
        image = image * 255
    small = shrunk(np.moveaxis(image, 0, -1), most)
    bytes_: Bytes = np.round(small).clip(0, 255).astype(np.uint8)
    if bytes_.shape[-1] == 1:
        bytes_ = np.repeat(bytes_, 3, axis=-1)
    return data_uri(png(*palette(bytes_, COLOURS))), stretched


def flat(explanation: Explanation, row: int) -> Floats:
    """One row's values on the plane (height, width): elements are summed over channels, parts show their value."""
    if explanation.dense is not None:
        return np.asarray(explanation.dense[row].sum(axis=0))
    features = explanation.features.at(np.array([row]))
    painted = features.map(explanation.values[row : row + 1])[0]
    return np.asarray(painted.sum(axis=0) if features.elementwise else painted.mean(axis=0))


def scale_of(*maps: Floats) -> float:
    """The 99th percentile of |value| over all maps drawn on this scale; stronger values get its full colour."""
    sizes = np.abs(np.concatenate([m.ravel() for m in maps]))
    sizes = sizes[np.isfinite(sizes)]
    return float(np.quantile(sizes, 0.99, method="higher")) if len(sizes) else 0.0


def level_of(*maps: Floats) -> float:
    """The least value over all maps drawn on a scale without a sign: 0 wherever something is 0."""
    sizes = np.concatenate([m.ravel() for m in maps])
    sizes = sizes[np.isfinite(sizes)]
    return float(sizes.min()) if len(sizes) else 0.0


def panel(name: str, explanation: Explanation, rival: Explanation | None, row: int, most: int) -> Panel:
    """One method's map of one row, at most ``most`` pixels a side, beside the runner-up's."""
    plane = shrunk(flat(explanation, row), most)
    other = shrunk(flat(rival, row), most) if rival is not None else None
    planes = [plane] if other is None else [plane, other]
    signed = bool((explanation.values < 0).any() or (explanation.dense is not None and (explanation.dense < 0).any()))
    table = DIVERGING if signed else MAGNITUDE
    high = scale_of(*planes)
    low = -high if signed else level_of(*planes)
    drawn = [data_uri(png(levels(p, low, high), table)) for p in planes]
    labels = explanation.labels[row] if explanation.labels else ""
    return Panel(
        method=name,
        label=labels,
        map=drawn[0],
        rival=rival.labels[row] if rival is not None and rival.labels else "runner-up" if rival is not None else "",
        rival_map=drawn[1] if other is not None else "",
        low=number(low),
        high=number(high),
        ramp=gradient(table),
    )
