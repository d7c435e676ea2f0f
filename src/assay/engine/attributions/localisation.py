# SPDX-License-Identifier: Apache-2.0
"""Localisation of attributions: compares an explanation with a mask of where the evidence is known to be.

A mask covers features, or positions of the input: pixels of an image, tokens of a text, columns of a table. Over
positions, the attributions of the channels of a pixel (of the dimensions of a token) are summed first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.frames import list_first
from assay.nouns.results.result import Estimate, Explanation

Mass = Literal["positive", "absolute"]
"""Which attributions count as mass: positive ones only, or all by magnitude."""

Order = Literal["signed", "absolute"]
"""How positions are ranked: by signed attribution, or by its magnitude."""

MaskScore = Callable[[Floats, Masks], float]
"""A score of one row, from attribution (position,) and the mask (position,)."""


@dataclass(frozen=True, eq=False)
class MaskedAttribution:
    """An explanation and a mask over the same positions.

    ``attribution`` is the explanation, ``centre`` the centre baseline (a Gaussian bump over the middle of the input;
    NaN for tables), ``inside`` the mask, ``available`` the positions that a row has; all (row, position). ``grid`` is
    the shape of the positions, empty where the mask covers features.
    """

    attribution: Floats
    centre: Floats
    inside: Masks
    available: Masks
    grid: tuple[int, ...] = ()


def align_with_mask(explanation: Explanation, inside: Any, *, spread: bool = False) -> MaskedAttribution:
    """Bring explanation and mask to the same positions: features or input positions, by the shape of the mask.

    A mask that fits both covers features. A feature of several positions gives each of them its value; with ``spread``
    an equal share of its value, which keeps sums.
    """
    mask: Any = np.asarray(inside)
    features = explanation.features
    rows, parts, shape = len(explanation.ids), len(features), features.shape
    grid = position_shape(shape)
    if mask.dtype != bool or mask.shape not in ((rows, parts), (rows, *shape), (rows, *grid)):
        accepted = ", ".join(map(str, dict.fromkeys([(rows, parts), (rows, *grid), (rows, *shape)])))
        raise InputError(
            f"inside={mask.dtype} {mask.shape}; needed is a boolean mask over the features or positions of every row, "
            f"of shape {accepted}. assay.nouns.inputs.regions.in_boxes makes masks of boxes."
        )
    centre = _centre_baseline(features, rows)
    available: Masks = np.broadcast_to(_assigned(features), (rows, *shape))
    if mask.shape == (rows, parts):
        own = np.broadcast_to(features.sizes > 0, (rows, parts))
        mean = features.pool(centre) / np.maximum(features.sizes, 1)
        return MaskedAttribution(explanation.values, mean, mask & own, own)
    values = explanation.map()
    if spread and explanation.dense is None:
        values = features.map(explanation.values / np.maximum(features.sizes, 1))
    if mask.shape == (rows, *shape) != (rows, *grid):
        mask = _merge_channels(mask, shape)
    axis = _channel_axis(shape)
    if axis is not None:
        values, centre = values.sum(axis=axis), centre.mean(axis=axis)
        available = np.asarray(available.any(axis=axis))
    mask = mask & available
    values, centre, mask, available = (array.reshape(rows, -1) for array in (values, centre, mask, available))
    return MaskedAttribution(values, centre, mask, available, grid)


def score_rows(masked: MaskedAttribution, score: MaskScore, read: Callable[[Floats], Floats]) -> Estimate:
    """The score of each row; extra has the mask's share and the centre baseline's score.

    extra["area"] is the mask's share of the positions, extra["centre"] the score of the centre baseline. ``read`` turns
    attribution into the quantity that is scored (mass or ranking values). NaN where the mask is empty or covers all
    positions.
    """
    rows = len(masked.attribution)
    values, centre, area = np.full(rows, np.nan), np.full(rows, np.nan), np.full(rows, np.nan)
    for row, available in enumerate(masked.available):
        inside = masked.inside[row, available]
        if not len(inside):
            continue
        area[row] = inside.mean()
        if not 0 < area[row] < 1:
            continue
        for result, heatmap in ((values, masked.attribution), (centre, masked.centre)):
            heat = read(heatmap[row, available])
            if np.isfinite(heat).all():
                result[row] = score(heat, inside)
    return Estimate(values, extra={"area": area, "centre": centre})


def attribution_mass(sign: str) -> Callable[[Floats], Floats]:
    """The function from attribution to mass: its positive part, or its magnitude."""
    return _choose(sign, {"positive": lambda values: np.maximum(values, 0.0), "absolute": np.abs})


def ranking_values(sign: str) -> Callable[[Floats], Floats]:
    """The function from attribution to the values by which positions are ranked."""
    return _choose(sign, {"signed": lambda values: values, "absolute": np.abs})


def count_top_inside(heat: Floats, inside: Masks, count: int) -> float:
    """Number of the ``count`` highest positions that are inside the mask; the expectation where positions tie."""
    least = np.partition(heat, -count)[-count]
    above, tied = heat > least, heat == least
    share = (count - above.sum()) / tied.sum()
    return float((above & inside).sum() + share * (tied & inside).sum())


def position_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the positions of a row: pixels of an image (channel, height, width), tokens of a text (token, dim)."""
    axis = _channel_axis(shape)
    return shape if axis is None else tuple(n for i, n in enumerate(shape) if i != axis - 1)


def _choose(sign: str, known: dict[str, Callable[[Floats], Floats]]) -> Callable[[Floats], Floats]:
    if sign not in known:
        raise InputError(f"sign={sign!r}; there are {', '.join(map(repr, known))}.")
    return known[sign]


def _channel_axis(shape: tuple[int, ...]) -> int | None:
    """The axis of (row, *shape) that is no position: channels of images, dimensions of texts; ``None`` for tables."""
    return None if len(shape) == 1 else 2 if len(shape) == 2 else 1


def _assigned(features: Features) -> Masks:
    """Elements that belong to a feature, (1 or row, *shape)."""
    index: Ints = features.index if features.per_row else features.index[None]
    return index >= 0


def _merge_channels(mask: Masks, shape: tuple[int, ...]) -> Masks:
    """A mask over elements as a mask over positions; ``InputError`` where the channels of a position differ."""
    axis = _channel_axis(shape)
    assert axis is not None
    some_in, all_in = mask.any(axis=axis), mask.all(axis=axis)
    mixed = np.flatnonzero((some_in != all_in).reshape(len(mask), -1).any(axis=1))
    if len(mixed):
        raise InputError(
            f"the mask of row {list_first(mixed)} differs between the channels of a position. Give a mask of shape "
            f"(row, {', '.join(map(str, position_shape(shape)))})."
        )
    return np.asarray(all_in)


def _centre_baseline(features: Features, rows: int) -> Floats:
    """A Gaussian (row, *shape) over the middle of each row's elements, σ a quarter of each side; NaN for tables."""
    shape, axis = features.shape, _channel_axis(features.shape)
    if axis is None:
        return np.full((rows, *shape), np.nan)
    assigned, heat = _assigned(features), np.ones((rows, *shape))
    for side in (i for i in range(1, len(shape) + 1) if i != axis):
        along = assigned.any(axis=tuple(i for i in range(1, len(shape) + 1) if i != side))
        for row, used in enumerate(np.broadcast_to(along, (rows, along.shape[1]))):
            at = np.flatnonzero(used)
            first, last = (at[0], at[-1]) if len(at) else (0, 0)
            away = (np.arange(len(used)) - (first + last) / 2) / ((last - first + 1) / 4)
            heat[row] *= np.exp(-(away**2) / 2).reshape([-1 if i + 1 == side else 1 for i in range(len(shape))])
    return heat
