# SPDX-License-Identifier: Apache-2.0
"""Regions of an input that somebody marked: boxes written as masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Masks

Box = Sequence[float]
"""Left, top, right, bottom in pixels; right and bottom are the first not inside."""


def in_boxes(boxes: Sequence[Sequence[Box]], height: int, width: int) -> Masks:
    """Masks (row, height, width) of the pixels whose middles lie in one of a row's boxes.

    ``boxes`` has a list of boxes a row, which may be empty; what lies beyond the picture is cut off.

    >>> in_boxes([[(1, 0, 3, 1)]], 2, 3).astype(int).tolist()
    [[[0, 1, 1], [0, 0, 0]]]
    """
    inside = np.zeros((len(boxes), height, width), dtype=bool)
    down, across = np.arange(height) + 0.5, np.arange(width) + 0.5
    for row, several in enumerate(boxes):
        for box in several:
            if len(box) != 4 or not np.isfinite(box).all() or box[0] > box[2] or box[1] > box[3]:
                raise InputError(f"row {row}: box {tuple(box)}; a box is left, top, right, bottom, in that order.")
            left, top, right, bottom = box
            tall, wide = (down >= top) & (down < bottom), (across >= left) & (across < right)
            inside[row] |= tall[:, None] & wide
    return inside
