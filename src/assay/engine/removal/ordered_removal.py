# SPDX-License-Identifier: Apache-2.0
"""Curves of the target as parts go in the explanation's order; one curve serves every ordered score."""

from __future__ import annotations

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, PerRow
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.coalitions.masks import present
from assay.nouns.results.result import Explanation


def places(explanation: Explanation, case: Case) -> Ints:
    """Each part's place (row, part) in the order of attribution, 0 = highest; ties fall in part order.

    Parts that a row lacks come last.
    """
    ranked = np.where(present(case), explanation.values, -np.inf)
    return np.argsort(-ranked, axis=1, kind="stable").argsort(axis=1)


def cuts(parts: int, steps: int) -> Ints:
    """How many parts are gone at each point of a curve with ``steps`` removals (0: one part each)."""
    if steps < 0:
        raise InputError(f"steps={steps}; 0 (one part at a time) or more.")
    count = parts if steps == 0 else min(steps, parts)
    return np.unique(np.round(np.linspace(0, parts, count + 1)).astype(np.int64))


def ordered_curve(
    explanation: Explanation, case: Case, remove: Removal, steps: int = 0, *, insert: bool = False, lowest: bool = False
) -> tuple[Floats, Floats]:
    """Share of the row's parts removed, and the target there, both (row, point).

    Highest attribution goes first (``lowest``: last). ``insert`` turns it round: the share inserted, starting from
    nothing. The game remembers, so the area, the intact value and any prefix cost nothing when asked again. A row with
    fewer parts than others ends early and repeats its last point, which adds no area. NaN where values are NaN.
    """
    held = present(case).sum(axis=1)
    curves = [cuts(int(parts), steps) for parts in held]
    points = max(map(len, curves))
    gone = np.stack([np.pad(curve, (0, points - len(curve)), mode="edge") for curve in curves])
    return gone / np.maximum(held, 1)[:, None], _asked(explanation, case, remove, gone, insert, lowest)


def ordered_points(
    explanation: Explanation, case: Case, remove: Removal, shares: tuple[float, ...], *, insert: bool = False
) -> Floats:
    """The target (row, share) without the ⌈share · n⌉ highest parts, or (``insert``) with these parts only.

    They are points of the curve with one part a step. NaN where values are NaN.
    """
    if not shares or not all(0 < share <= 1 for share in shares):
        raise InputError(f"shares are fractions of the parts, above 0 and at most 1, at least one; got {shares}.")
    held = present(case).sum(axis=1)
    gone = np.ceil(np.asarray(shares) * held[:, None] - 1e-9).astype(np.int64)
    return _asked(explanation, case, remove, gone, insert, lowest=False)


def ordered_start(explanation: Explanation, case: Case, remove: Removal, limit: int) -> tuple[Floats, Floats]:
    """Share of the row's parts removed, and the target there, both (row, point), for the first ``limit`` removals.

    One part a step, highest first: points of the curve with one part a step. A row with fewer parts repeats its last.
    """
    gone = beginnings(case, limit)
    held = present(case).sum(axis=1)
    return gone / np.maximum(held, 1)[:, None], _asked(explanation, case, remove, gone, insert=False, lowest=False)


def beginnings(case: Case, limit: int) -> Ints:
    """How many parts are gone (row, point) at the first ``limit`` removals, or as many as a row has parts for."""
    if limit < 1:
        raise InputError(f"{limit} regions; at least 1 is removed.")
    held = present(case).sum(axis=1)
    return np.minimum(np.arange(min(limit, int(held.max())) + 1), held[:, None])


def mean_of_points(gone: Floats, value: Floats) -> PerRow:
    """Mean of a curve (row, point) over the points of each row, the intact and the empty one among them."""
    own = np.diff(gone, axis=1, prepend=-1.0) > 0  # a row with fewer parts repeats its last point
    return np.asarray(np.where(own, value, 0.0).sum(axis=1) / own.sum(axis=1))


def _asked(explanation: Explanation, case: Case, remove: Removal, gone: Ints, insert: bool, lowest: bool) -> Floats:
    """The target (row, point) when ``gone`` (row, point) parts have moved; NaN without a full order of the parts."""
    place, held = places(explanation, case), present(case)
    count = held.sum(axis=1, keepdims=True)
    if lowest:
        place = np.where(held, count - 1 - place, place)
    moved = place[:, None, :] < gone[:, :, None]
    keep = moved | ~held[:, None, :] if insert else ~moved
    unknown = (np.isnan(explanation.values) & held).any(axis=1, keepdims=True) | (count == 0)
    return np.where(unknown, np.nan, case.game(remove).paths(keep))
