# SPDX-License-Identifier: Apache-2.0
"""Groups of parts within groups, as a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from assay.basics.errors import InputError

Nest = int | tuple["Nest", ...]
"""A part by its number, or a group of nests."""


def nested(groups: Any, names: Sequence[str]) -> Nest:
    """The tree that ``groups`` says: a mapping from group to part names, or part names nested in sequences.

    Parts that are named nowhere stand alone beside the groups. A group of one member is that member.

    >>> nested({"address": ["street", "town"]}, ["age", "street", "town"])
    ((1, 2), 0)
    """
    places = {name: i for i, name in enumerate(names)}
    used: set[int] = set()

    def grown(told: Any) -> Nest:
        if isinstance(told, str):
            if told not in places:
                raise InputError(f"groups name part {told!r}, which is not among {list(names)[:8]}.")
            if places[told] in used:
                raise InputError(f"part {told!r} is in two groups; a part joins with one group only.")
            used.add(places[told])
            return places[told]
        members = list(told.values()) if isinstance(told, Mapping) else told
        if not isinstance(members, Sequence) or not members:
            raise InputError(f"a group holds part names or groups, at least one; got {type(told).__name__} {told!r}.")
        inner = tuple(grown(member) for member in members)
        return inner[0] if len(inner) == 1 else inner

    if isinstance(groups, str) or not isinstance(groups, Mapping | Sequence):
        raise InputError(
            f"groups are a mapping from group to part names, or part names nested in lists; got "
            f"{type(groups).__name__}. hierarchy(background) makes them."
        )
    top = [grown(one) for one in (groups.values() if isinstance(groups, Mapping) else groups)]
    return (*top, *(place for place in range(len(names)) if place not in used))


def leaves(nest: Nest) -> list[int]:
    """The parts of a nest."""
    return [nest] if isinstance(nest, int) else [part for inner in nest for part in leaves(inner)]


def hierarchy(background: Any, names: Sequence[str] = ()) -> list[Any]:
    """Columns nested two by two, the most alike first: average linkage of 1 − \\|correlation\\| over a background.

    ``background`` is a frame, or an array (row, column) with ``names`` of its columns (default: their numbers). For
    ``explain.owen(groups=…)``. Columns that do not vary are correlated with none.
    """
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    told = [str(name) for name in (names or getattr(background, "columns", ()))]
    x = np.asarray(background)
    if x.ndim != 2 or x.dtype.kind not in "biuf" or len(x) < 2 or not np.isfinite(x.astype(float)).all():
        raise InputError(
            f"columns are nested by correlation: two finite rows of numbers or more are needed; got {x.dtype} "
            f"{x.shape}. Leave out text and missing values, or write groups down."
        )
    told = told or [str(i) for i in range(x.shape[1])]
    if len(told) != x.shape[1]:
        raise InputError(f"{len(told)} names for {x.shape[1]} columns; give one a column.")
    centred = x.astype(float) - x.astype(float).mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    unit = centred / np.where(length > 0, length, 1.0)
    apart = np.clip(1.0 - np.abs(unit.T @ unit), 0.0, 1.0)
    np.fill_diagonal(apart, 0.0)
    nests: list[Any] = list(told)
    if len(told) > 1:
        for first, second, *_ in linkage(squareform(apart, checks=False), "average"):
            nests.append([nests[int(first)], nests[int(second)]])
    return nests[-1] if isinstance(nests[-1], list) else nests[-1:]
