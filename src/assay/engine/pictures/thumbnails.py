# SPDX-License-Identifier: Apache-2.0
"""Pictures small enough to be part of a result."""

from __future__ import annotations

import numpy as np

from assay.basics.types import Floats

SIDE = 64
"""Most pixels a side of a picture that a result holds."""


def is_shape_of_picture(shape: tuple[int, ...]) -> bool:
    """Whether rows of this shape are pictures: (1 or 3, height, width)."""
    return len(shape) == 3 and shape[0] in (1, 3)


def thumbnail(picture: Floats, most: int = SIDE) -> Floats:
    """A picture (channel, height, width) of at most ``most`` pixels a side: means of squares, what is over is cut."""
    step = max(1, -(-max(picture.shape[1:]) // most))
    height, width = (max(1, n // step) * min(step, n) for n in picture.shape[1:])
    tall, wide = min(step, picture.shape[1]), min(step, picture.shape[2])
    parts = picture[:, :height, :width].reshape(len(picture), height // tall, tall, width // wide, wide)
    return np.asarray(parts.mean(axis=(2, 4)), dtype=np.float32)
