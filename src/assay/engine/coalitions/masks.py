# SPDX-License-Identifier: Apache-2.0
"""Sets of parts, one a row: what an explanation points at, as boolean masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Ints, Masks
from assay.cases.case import Case

LEADING = 0.25
"""Share of the parts, those with the highest values, that an audit hands to a certificate."""


def chosen_parts(case: Case, parts: Any) -> Masks:
    """The masks (row, part), or ``InputError`` when they do not fit the case."""
    masks = np.asarray(parts)
    wanted = (len(case), len(case.features))
    if masks.dtype != bool or masks.shape != wanted:
        raise InputError(
            f"parts are boolean masks {wanted} (row, part); got {masks.dtype} {masks.shape}. "
            f"explanation.top(0.25) makes them."
        )
    return masks


def present(case: Case) -> Masks:
    """Which parts (row, part) exist: with a cut per row, a row may have fewer parts than others."""
    return np.broadcast_to(case.features.sizes > 0, (len(case), len(case.features)))


def random_parts(case: Case, sizes: Ints) -> Masks:
    """Masks (row, part) of as many parts as ``sizes`` (row,) says, drawn evenly; row streams follow ids."""
    masks = np.zeros((len(case), len(case.features)), dtype=bool)
    for row, (name, exists) in enumerate(zip(case.rows.ids, present(case))):
        places = np.flatnonzero(exists)
        generator = case.seed.child("random parts", name).generator()
        masks[row, generator.permutation(places)[: sizes[row]]] = True
    return masks
