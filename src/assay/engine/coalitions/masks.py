# SPDX-License-Identifier: Apache-2.0
"""Sets of features, one per row, as boolean masks (row, part)."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Ints, Masks
from assay.cases.case import Case

TOP_SHARE = 0.25
"""Share of the parts that an audit certifies: those with the highest values."""


def check_masks(case: Case, parts: Any) -> Masks:
    """The masks (row, part); ``InputError`` where their type or shape does not fit the case."""
    masks = np.asarray(parts)
    shape = (len(case), len(case.features))
    if masks.dtype != bool or masks.shape != shape:
        raise InputError(
            f"parts must be boolean masks of shape {shape} (row, feature); got {masks.dtype} {masks.shape}. "
            f"explanation.top(0.25) returns such masks."
        )
    return masks


def present_parts(case: Case) -> Masks:
    """Which parts (row, part) exist: with a segmentation per row, some rows have fewer parts than others."""
    return np.broadcast_to(case.features.sizes > 0, (len(case), len(case.features)))


def random_parts(case: Case, sizes: Ints) -> Masks:
    """Masks (row, part) of ``sizes`` (row,) parts, drawn uniformly; each row's random stream depends on its id."""
    masks = np.zeros((len(case), len(case.features)), dtype=bool)
    for row, (name, exists) in enumerate(zip(case.rows.ids, present_parts(case))):
        indices = np.flatnonzero(exists)
        generator = case.seed.child("random parts", name).generator()
        masks[row, generator.permutation(indices)[: sizes[row]]] = True
    return masks
