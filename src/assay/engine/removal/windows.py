# SPDX-License-Identifier: Apache-2.0
"""Sliding windows of neighbouring features, and the drop in the target without them."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.cases.removals import Removal

COLUMNS = 1024
"""Features whose windows are summed at once, which bounds the memory of the product."""


def removal_effects(case: Case, remove: Removal, removed: Masks) -> Floats:
    """Mean drop f(x) − v(N ∖ w) over the windows w with a feature, (row, part); ``removed`` is (window, part)."""
    left = case.game(remove).table(~removed)
    with np.errstate(invalid="ignore"):  # ∞ − ∞ of a loss is NaN, which the caller reports
        drops = case.output[:, None] - left
        sums = [drops @ removed[:, first : first + COLUMNS] for first in range(0, removed.shape[1], COLUMNS)]
        return np.asarray(np.concatenate(sums, axis=1) / removed.sum(axis=0))


def sliding_windows(case: Case, together: int) -> Masks:
    """All windows of ``together`` neighbouring features with stride 1, (window, part).

    Squares on the grid of an image (patches, or the elements of each channel), runs in feature order for other inputs.
    A window is at most as wide as the input.
    """
    parts = len(case.features)
    if together < 1:
        raise InputError(f"together={together}; a window needs at least 1 feature.")
    if together == 1:
        return np.eye(parts, dtype=bool)
    if len(case.rows.shape) != 3:
        return _runs(parts, min(together, parts))
    layout = _layout(case)
    height, width = (min(together, side) for side in layout.shape[1:])
    windows = [
        layout[channel, top : top + height, left : left + width]
        for channel in range(len(layout))
        for top in range(layout.shape[1] - height + 1)
        for left in range(layout.shape[2] - width + 1)
    ]
    masks = np.zeros((len(windows), parts), dtype=bool)
    for mask, members in zip(masks, windows):
        mask[members.ravel()] = True
    return masks


def _runs(parts: int, together: int) -> Masks:
    offset = np.arange(parts)[None, :] - np.arange(parts - together + 1)[:, None]
    return np.asarray((offset >= 0) & (offset < together))


def _layout(case: Case) -> Any:
    """Index of the feature at each grid position, (plane, down, across); every feature once."""
    index = case.features.index
    if case.features.elementwise:
        return index
    if not case.features.per_row and (index == index[:1]).all():
        flat = index[0]
        down = np.concatenate([[True], (flat[1:] != flat[:-1]).any(axis=1)])
        across = np.concatenate([[True], (flat[:, 1:] != flat[:, :-1]).any(axis=0)])
        layout = flat[np.ix_(down, across)]
        if layout.size == len(case.features) and layout.min() >= 0:
            return layout[None]
    raise CapabilityError(
        "together above 1 needs features on a grid; the features of this image are not (superpixels, for example). "
        "Use together=1, or features=assay.grid(shape, patch)."
    )
