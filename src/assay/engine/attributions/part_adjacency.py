# SPDX-License-Identifier: Apache-2.0
"""Positions of the features of an image, and which of them are adjacent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case


def part_centroids(case: Case) -> Floats:
    """Mean position (row, part, axis) of each feature's elements, in steps of the grid; NaN if a row lacks it.

    The axes are those after the channels: down and across of an image, in pixels.
    """
    channels, *sides = case.rows.shape
    axes = np.meshgrid(*(np.arange(side, dtype=np.float64) for side in sides), indexing="ij")
    rows = len(case) if case.features.per_row else 1
    sums = [case.features.pool(np.broadcast_to(axis, (rows, channels, *sides)).copy()) for axis in axes]
    sizes = np.broadcast_to(case.features.sizes, sums[0].shape)[..., None]
    shape = (*sums[0].shape, len(sides))
    mean = np.divide(np.stack(sums, axis=-1), sizes, out=np.full(shape, np.nan), where=sizes > 0)
    return np.broadcast_to(mean, (len(case), *mean.shape[1:]))


def adjacent_parts(case: Case) -> Iterator[Ints]:
    """Pairs (pair, 2) of adjacent features, row by row.

    Two features are adjacent if they have neighbouring elements in a channel, or elements at one pixel.
    """
    if not case.features.per_row:
        pairs = _pairs(case.features.index, len(case.features))
        for _ in range(len(case)):
            yield pairs
        return
    for index in case.features.index:
        yield _pairs(index, len(case.features))


def label_components(pairs: Ints, chosen: Masks) -> Ints:
    """Number of the connected component (part,) of each ``chosen`` feature, −1 for the others."""
    inside = pairs[chosen[pairs].all(axis=1)]
    graph = coo_matrix((np.ones(len(inside)), (inside[:, 0], inside[:, 1])), shape=(len(chosen), len(chosen)))
    component = connected_components(graph, directed=False)[1].astype(np.int64)
    return np.where(chosen, component, -1)


def _pairs(index: Ints, parts: int) -> Ints:
    """Pairs of different features that are adjacent, each pair once."""
    neighbours = [(index[:, 1:], index[:, :-1]), (index[:, :, 1:], index[:, :, :-1])]
    neighbours += [(index[one], index[two]) for one, two in combinations(range(len(index)), 2)]
    pairs = np.concatenate([np.stack([a.ravel(), b.ravel()], axis=1) for a, b in neighbours])
    pairs = np.sort(pairs[(pairs >= 0).all(axis=1) & (pairs[:, 0] != pairs[:, 1])], axis=1)
    keys = np.unique(pairs[:, 0] * parts + pairs[:, 1])
    return np.stack([keys // parts, keys % parts], axis=1)
