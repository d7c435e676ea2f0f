# SPDX-License-Identifier: Apache-2.0
"""Nested groups of features (coalition structures) as a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from assay.basics.errors import InputError

FeatureTree = int | tuple["FeatureTree", ...]
"""A feature by its number, or a group of trees."""


def parse_groups(groups: Any, names: Sequence[str]) -> FeatureTree:
    """The tree of ``groups``: a mapping from group to feature names, or feature names nested in sequences.

    A feature of no group is a group by itself. A group of one member is that member.

    >>> parse_groups({"address": ["street", "town"]}, ["age", "street", "town"])
    ((1, 2), 0)
    """
    places = {name: i for i, name in enumerate(names)}
    used: set[int] = set()

    def build(group: Any) -> FeatureTree:
        if isinstance(group, str):
            if group not in places:
                raise InputError(f"groups name feature {group!r}, which is not among {list(names)[:8]}.")
            if places[group] in used:
                raise InputError(f"feature {group!r} is in two groups; a feature belongs to one group.")
            used.add(places[group])
            return places[group]
        members = list(group.values()) if isinstance(group, Mapping) else group
        if not isinstance(members, Sequence) or not members:
            raise InputError(
                f"a group holds feature names or groups, at least one; got {type(group).__name__} {group!r}."
            )
        inner = tuple(build(member) for member in members)
        return inner[0] if len(inner) == 1 else inner

    if isinstance(groups, str) or not isinstance(groups, Mapping | Sequence):
        raise InputError(
            f"groups are a mapping from group to feature names, or feature names nested in lists; got "
            f"{type(groups).__name__}. hierarchy(background) makes them."
        )
    top = [build(one) for one in (groups.values() if isinstance(groups, Mapping) else groups)]
    return (*top, *(place for place in range(len(names)) if place not in used))


def tree_leaves(nest: FeatureTree) -> list[int]:
    """The features of a tree, in its order."""
    return [nest] if isinstance(nest, int) else [part for inner in nest for part in tree_leaves(inner)]


def hierarchy(background: Any, names: Sequence[str] = ()) -> list[Any]:
    """Columns clustered hierarchically, two by two: average linkage of 1 − \\|correlation\\| over a background.

    ``background`` is a frame, or an array (row, column) with ``names`` of its columns (default: their numbers). For
    ``explain.owen(groups=…)``. Constant columns have correlation 0.
    """
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    labels = [str(name) for name in (names or getattr(background, "columns", ()))]
    x = np.asarray(background)
    if x.ndim != 2 or x.dtype.kind not in "biuf" or len(x) < 2 or not np.isfinite(x.astype(float)).all():
        raise InputError(
            f"columns are clustered by correlation, which needs two or more rows of finite numbers; got {x.dtype} "
            f"{x.shape}. Leave out text and missing values, or give the groups."
        )
    labels = labels or [str(i) for i in range(x.shape[1])]
    if len(labels) != x.shape[1]:
        raise InputError(f"{len(labels)} names for {x.shape[1]} columns; give one name per column.")
    centred = x.astype(float) - x.astype(float).mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    unit = centred / np.where(length > 0, length, 1.0)
    distance = np.clip(1.0 - np.abs(unit.T @ unit), 0.0, 1.0)
    np.fill_diagonal(distance, 0.0)
    trees: list[Any] = list(labels)
    if len(labels) > 1:
        for first, second, *_ in linkage(squareform(distance, checks=False), "average"):
            trees.append([trees[int(first)], trees[int(second)]])
    return trees[-1] if isinstance(trees[-1], list) else trees[-1:]
