# SPDX-License-Identifier: Apache-2.0
"""Curves of the target as parts go in the explanation's order; one curve serves every ordered score."""

from __future__ import annotations

import numpy as np

from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.nouns.result import Explanation
from assay.words.errors import InputError
from assay.words.types import Floats, Ints, Masks


def places(explanation: Explanation) -> Ints:
    """Each part's place (row, part) in the order of attribution, 0 = highest; ties fall in part order."""
    return np.asarray(explanation.order().argsort(axis=1))


def cuts(parts: int, steps: int) -> Ints:
    """How many parts are gone at each point of a curve with ``steps`` removals (0: one part each)."""
    if steps < 0:
        raise InputError(f"steps={steps}; 0 (one part at a time) or more.")
    count = parts if steps == 0 else min(steps, parts)
    return np.unique(np.round(np.linspace(0, parts, count + 1)).astype(np.int64))


def ordered_curve(
    explanation: Explanation, case: Case, remove: Removal, steps: int = 0, *, insert: bool = False, lowest: bool = False
) -> tuple[Floats, Floats]:
    """Share of parts removed (point,), and the target there (row, point).

    Highest attribution goes first (``lowest``: last). ``insert`` turns it round: the share inserted, starting from
    nothing. The game remembers, so the area, the intact value and any prefix cost nothing when asked again.
    """
    place = places(explanation)
    parts = place.shape[1]
    if lowest:
        place = parts - 1 - place
    gone = cuts(parts, steps)
    moved = place[:, None, :] < gone[None, :, None]
    keep: Masks = moved if insert else ~moved
    return gone / parts, case.game(remove).paths(keep)
