# SPDX-License-Identifier: Apache-2.0
"""Small pictures and maps of rows, training rows and findings, as many and as large as a budget allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from assay.basics.types import Floats
from assay.report.drawing.colours import DIVERGING, colour_levels
from assay.report.drawing.image_maps import colour_scale, encode_image
from assay.report.drawing.png import data_uri, downsample, encode_png

Drawn = TypeVar("Drawn")
Try = TypeVar("Try")


def small_picture(picture: Floats, side: int) -> str:
    """A picture (channel, height, width) as a data URI of at most ``side`` pixels a side; what is not finite is 0."""
    return encode_image(np.nan_to_num(np.asarray(picture, dtype=np.float64), posinf=0.0, neginf=0.0), side)[0]


def small_map(values: Floats, side: int, high: float | None = None) -> str:
    """A map (height, width) as a data URI: orange below 0, blue above, on a scale to ``high`` or its own."""
    small = downsample(np.asarray(values, dtype=np.float64), side)
    limit = colour_scale(small) if high is None else high
    return data_uri(encode_png(colour_levels(small, -limit, limit), DIVERGING))


def largest_that_fits(
    tries: Sequence[Try], draw: Callable[[Try], tuple[Drawn, ...]], size: Callable[[Drawn], int], budget: int
) -> tuple[Drawn, ...]:
    """What ``draw`` makes of the first of ``tries`` that has at most ``budget`` characters; empty where none has."""
    for one in tries:
        drawn = draw(one)
        if sum(map(size, drawn)) <= budget:
            return drawn
    return ()
