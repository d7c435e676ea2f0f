# SPDX-License-Identifier: Apache-2.0
"""Maps of explanations in a form that can be clustered, and the regions that they point to."""

from __future__ import annotations

import numpy as np

from assay.basics.types import Floats, Ints, Masks

SIDE = 16
"""Most cells on a side of a map."""

MOST_OF_PICTURE = 1 / 8
"""Largest share of the cells that a region has."""


def cell_edges(length: int) -> Ints:
    """The first pixel of each cell on a side of this length, and the length."""
    return np.linspace(0, length, min(SIDE, length) + 1).round().astype(np.int64)


def attribution_maps(values: Floats) -> Floats:
    """Maps (row, cell, cell) of values (row, channel, height, width): summed over channels and pixels of each cell.

    At most ``SIDE`` cells a side, divided by the sum of sizes; a row of zeros stays 0.
    """
    summed = values.sum(axis=1)
    for axis in (1, 2):
        summed = np.add.reduceat(summed, cell_edges(summed.shape[axis])[:-1], axis=axis)
    total = np.abs(summed).sum(axis=(1, 2), keepdims=True)
    return np.asarray(summed / np.where(total > 0, total, 1.0))


def strongest_cells(contrast: Floats, count: int | None = None) -> Masks:
    """The cells (cell, cell) of at least half the largest value, at most an eighth of all; or the ``count`` largest."""
    flat = contrast.ravel()
    most = max(1, int(flat.size * MOST_OF_PICTURE)) if count is None else count
    chosen = np.zeros(flat.size, dtype=bool)
    chosen[np.argsort(-flat, kind="stable")[:most]] = True
    if count is None:
        chosen &= (flat >= flat.max() / 2) & (flat > 0)
    return chosen.reshape(contrast.shape)


def pixels_of(cells: Masks, shape: tuple[int, ...]) -> Masks:
    """The pixels (height, width) of the cells."""
    height, width = (np.diff(cell_edges(length)) for length in shape)
    return np.repeat(np.repeat(cells, height, axis=0), width, axis=1)
