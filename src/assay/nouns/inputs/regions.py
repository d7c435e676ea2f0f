# SPDX-License-Identifier: Apache-2.0
"""Annotated regions of an input: bounding boxes as masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Masks

Box = Sequence[float]
"""Left, top, right, bottom in pixels; right and bottom are exclusive."""


def in_boxes(boxes: Sequence[Sequence[Box]], height: int, width: int) -> Masks:
    """Masks (row, height, width) of the pixels whose centres lie in one of a row's boxes.

    ``boxes`` has one list of boxes per row, which may be empty; boxes are clipped to the image.

    >>> in_boxes([[(1, 0, 3, 1)]], 2, 3).astype(int).tolist()
    [[[0, 1, 1], [0, 0, 0]]]
    """
    inside = np.zeros((len(boxes), height, width), dtype=bool)
    down, across = np.arange(height) + 0.5, np.arange(width) + 0.5
    for row, row_boxes in enumerate(boxes):
        for box in row_boxes:
            if len(box) != 4 or not np.isfinite(box).all() or box[0] > box[2] or box[1] > box[3]:
                raise InputError(f"row {row}: box {tuple(box)}; a box is left, top, right, bottom, in that order.")
            left, top, right, bottom = box
            tall, wide = (down >= top) & (down < bottom), (across >= left) & (across < right)
            inside[row] |= tall[:, None] & wide
    return inside
