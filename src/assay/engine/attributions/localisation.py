# SPDX-License-Identifier: Apache-2.0
"""Where an explanation points, beside where somebody says that the reason lies: one way to read both.

A mask speaks of parts, or of the places of the input: the pixels of an image, the tokens of a text, the columns of a
table. Over places, what an explanation says of the channels of a pixel (the dimensions of a token) is added up first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.frames import some
from assay.nouns.results.result import Estimate, Explanation

Mass = Literal["positive", "absolute"]
"""Which attributions weigh: the positive ones, or all by size."""

Order = Literal["signed", "absolute"]
"""By what places are ordered: attribution as it stands, or its size."""

Reading = Callable[[Floats, Masks], float]
"""A score of what is said (place,) of a row's places, given which are inside (place,)."""


@dataclass(frozen=True, eq=False)
class Located:
    """An explanation and a mask over the same places.

    ``said`` is attribution, ``middle`` a bump over the middle (NaN where places lie nowhere), ``inside`` the mask and
    ``real`` the places a row has; all (row, place). ``grid`` is the shape of the places where the mask speaks of them.
    """

    said: Floats
    middle: Floats
    inside: Masks
    real: Masks
    grid: tuple[int, ...] = ()


def located(explanation: Explanation, inside: Any, *, spread: bool = False) -> Located:
    """Both over the parts, or over the places of the input, as the mask has it; parts where both would fit.

    Parts coarser than places show each place the part's value; ``spread``: an equal share of it, so that sums stay.
    """
    mask: Any = np.asarray(inside)
    features = explanation.features
    rows, parts, shape = len(explanation.ids), len(features), features.shape
    grid = places_of(shape)
    if mask.dtype != bool or mask.shape not in ((rows, parts), (rows, *shape), (rows, *grid)):
        accepted = ", ".join(map(str, dict.fromkeys([(rows, parts), (rows, *grid), (rows, *shape)])))
        raise InputError(
            f"inside={mask.dtype} {mask.shape}; it is boolean and says of every row which parts or places are inside: "
            f"{accepted}. assay.nouns.inputs.regions.in_boxes makes masks of boxes."
        )
    middle = _middle(features, rows)
    real: Masks = np.broadcast_to(_real(features), (rows, *shape))
    if mask.shape == (rows, parts):
        held = np.broadcast_to(features.sizes > 0, (rows, parts))
        mean = features.pool(middle) / np.maximum(features.sizes, 1)
        return Located(explanation.values, mean, mask & held, held)
    said = explanation.map()
    if spread and explanation.dense is None:
        said = features.map(explanation.values / np.maximum(features.sizes, 1))
    if mask.shape == (rows, *shape) != (rows, *grid):
        mask = _alike(mask, shape)
    axis = _mixed(shape)
    if axis is not None:
        said, middle, real = said.sum(axis=axis), middle.mean(axis=axis), np.asarray(real.any(axis=axis))
    flat = (rows, -1)
    return Located(said.reshape(flat), middle.reshape(flat), (mask & real).reshape(flat), real.reshape(flat), grid)


def judged(found: Located, score: Reading, read: Callable[[Floats], Floats]) -> Estimate:
    """The score of each row, beside it the mask's share (``area``) and the score of the middle (``centre``).

    NaN where the mask is empty or holds every place, so that nothing could be missed or hit. ``read`` makes of
    attribution what the score is of.
    """
    rows = len(found.said)
    values, centre, area = np.full(rows, np.nan), np.full(rows, np.nan), np.full(rows, np.nan)
    for row, real in enumerate(found.real):
        inside = found.inside[row, real]
        if not len(inside):
            continue
        area[row] = inside.mean()
        if not 0 < area[row] < 1:
            continue
        for answer, given in ((values, found.said), (centre, found.middle)):
            heat = read(given[row, real])
            if np.isfinite(heat).all():
                answer[row] = score(heat, inside)
    return Estimate(values, extra={"area": area, "centre": centre})


def weighed(sign: str) -> Callable[[Floats], Floats]:
    """Attribution as mass."""
    return _read(sign, {"positive": lambda said: np.maximum(said, 0.0), "absolute": np.abs})


def ranked(sign: str) -> Callable[[Floats], Floats]:
    """Attribution as what orders places."""
    return _read(sign, {"signed": lambda said: said, "absolute": np.abs})


def leading_inside(heat: Floats, inside: Masks, count: int) -> float:
    """How many of the ``count`` highest places are inside, expected where those that tie are drawn evenly."""
    least = np.partition(heat, -count)[-count]
    above, level = heat > least, heat == least
    drawn = (count - above.sum()) / level.sum()
    return float((above & inside).sum() + drawn * (level & inside).sum())


def places_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The places of a row: of an image (channel, height, width) its pixels, of a text (token, dimension) its tokens."""
    axis = _mixed(shape)
    return shape if axis is None else tuple(n for i, n in enumerate(shape) if i != axis - 1)


def _read(sign: str, known: dict[str, Callable[[Floats], Floats]]) -> Callable[[Floats], Floats]:
    if sign not in known:
        raise InputError(f"sign={sign!r}; there are {', '.join(map(repr, known))}.")
    return known[sign]


def _mixed(shape: tuple[int, ...]) -> int | None:
    """The axis, rows counted, that is no place: channels first of images, dimensions last of texts; none of tables."""
    return None if len(shape) == 1 else 2 if len(shape) == 2 else 1


def _real(features: Features) -> Masks:
    """Elements that belong to a part, (1 or row, *shape)."""
    index: Ints = features.index if features.per_row else features.index[None]
    return index >= 0


def _alike(mask: Masks, shape: tuple[int, ...]) -> Masks:
    """A mask over elements as one over places; refused where a place is both inside and not."""
    axis = _mixed(shape)
    assert axis is not None
    some_in, all_in = mask.any(axis=axis), mask.all(axis=axis)
    apart = np.flatnonzero((some_in != all_in).reshape(len(mask), -1).any(axis=1))
    if len(apart):
        raise InputError(
            f"the mask of row {some(apart)} tells the channels of a place apart; a place is inside or not. Give a mask "
            f"(row, {', '.join(map(str, places_of(shape)))})."
        )
    return np.asarray(all_in)


def _middle(features: Features, rows: int) -> Floats:
    """A bump (row, *shape) over the middle of what each row has, a quarter of it wide; NaN for tables."""
    shape, axis = features.shape, _mixed(features.shape)
    if axis is None:
        return np.full((rows, *shape), np.nan)
    real, heat = _real(features), np.ones((rows, *shape))
    for place in (i for i in range(1, len(shape) + 1) if i != axis):
        along = real.any(axis=tuple(i for i in range(1, len(shape) + 1) if i != place))
        for row, there in enumerate(np.broadcast_to(along, (rows, along.shape[1]))):
            at = np.flatnonzero(there)
            first, last = (at[0], at[-1]) if len(at) else (0, 0)
            away = (np.arange(len(there)) - (first + last) / 2) / ((last - first + 1) / 4)
            heat[row] *= np.exp(-(away**2) / 2).reshape([-1 if i + 1 == place else 1 for i in range(len(shape))])
    return heat
