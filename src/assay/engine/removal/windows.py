# SPDX-License-Identifier: Apache-2.0
"""Windows of neighbouring parts, and what the target loses with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.cases.removals import Removal


def fall_without(case: Case, remove: Removal, gone: Masks) -> Floats:
    """Mean of f(x) − v(N ∖ w) over the windows w that cover a part, (row, part); ``gone`` has axes (window, part)."""
    left = case.game(remove).table(~gone)
    with np.errstate(invalid="ignore"):  # ∞ − ∞ of a loss is NaN, which is told by whoever gets it
        return np.asarray((case.output[:, None] - left) @ gone / gone.sum(axis=0))


def windows(case: Case, together: int) -> Masks:
    """Every window of ``together`` neighbours, one step apart, (window, part).

    Squares on a grid of an image (patches, or the elements of each channel), runs in part order elsewhere. A window
    is never wider than what there is.
    """
    parts = len(case.features)
    if together < 1:
        raise InputError(f"together={together}; a window holds at least 1 part.")
    if together == 1:
        return np.eye(parts, dtype=bool)
    if len(case.rows.shape) != 3:
        return _runs(parts, min(together, parts))
    plan = _layout(case)
    high, wide = (min(together, side) for side in plan.shape[1:])
    found = [
        plan[channel, top : top + high, left : left + wide]
        for channel in range(len(plan))
        for top in range(plan.shape[1] - high + 1)
        for left in range(plan.shape[2] - wide + 1)
    ]
    gone = np.zeros((len(found), parts), dtype=bool)
    for mask, members in zip(gone, found):
        mask[members.ravel()] = True
    return gone


def _runs(parts: int, together: int) -> Masks:
    place = np.arange(parts)[None, :] - np.arange(parts - together + 1)[:, None]
    return np.asarray((place >= 0) & (place < together))


def _layout(case: Case) -> Any:
    """Which part lies where: (plane, down, across), every part once."""
    index = case.features.index
    if case.features.elementwise:
        return index
    if not case.features.per_row and (index == index[:1]).all():
        flat = index[0]
        down = np.concatenate([[True], (flat[1:] != flat[:-1]).any(axis=1)])
        across = np.concatenate([[True], (flat[:, 1:] != flat[:, :-1]).any(axis=0)])
        plan = flat[np.ix_(down, across)]
        if plan.size == len(case.features) and plan.min() >= 0:
            return plan[None]
    raise CapabilityError(
        "together above 1 needs parts that lie on a grid; these parts of an image do not (superpixels, say). Use "
        "together=1, or features=assay.grid(shape, patch)."
    )
