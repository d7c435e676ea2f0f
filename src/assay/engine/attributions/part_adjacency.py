# SPDX-License-Identifier: Apache-2.0
"""Where the parts of a picture lie, and which of them touch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case


def middles(case: Case) -> Floats:
    """Mean position (row, part, 2) of each part's elements, down and across in pixels; NaN for a part a row lacks."""
    channels, height, width = case.rows.shape
    down, across = np.meshgrid(np.arange(height, dtype=np.float64), np.arange(width, dtype=np.float64), indexing="ij")
    rows = len(case) if case.features.per_row else 1
    sums = [
        case.features.pool(np.broadcast_to(place, (rows, channels, height, width)).copy()) for place in (down, across)
    ]
    sizes = np.broadcast_to(case.features.sizes, sums[0].shape)[..., None]
    mean = np.divide(np.stack(sums, axis=-1), sizes, out=np.full((*sums[0].shape, 2), np.nan), where=sizes > 0)
    return np.broadcast_to(mean, (len(case), *mean.shape[1:]))


def touching(case: Case) -> Iterator[Ints]:
    """Pairs of parts (pair, 2) that touch, row by row: elements side by side in a channel, or at one pixel."""
    if not case.features.per_row:
        pairs = _pairs(case.features.index, len(case.features))
        for _ in range(len(case)):
            yield pairs
        return
    for index in case.features.index:
        yield _pairs(index, len(case.features))


def components(pairs: Ints, chosen: Masks) -> Ints:
    """The number of each part's connected piece among the ``chosen`` ones (part,), −1 for the others."""
    inside = pairs[chosen[pairs].all(axis=1)]
    graph = coo_matrix((np.ones(len(inside)), (inside[:, 0], inside[:, 1])), shape=(len(chosen), len(chosen)))
    piece = connected_components(graph, directed=False)[1].astype(np.int64)
    return np.where(chosen, piece, -1)


def _pairs(index: Ints, parts: int) -> Ints:
    """Different parts that have elements side by side, each pair once."""
    beside = [(index[:, 1:], index[:, :-1]), (index[:, :, 1:], index[:, :, :-1])]
    beside += [(index[one], index[two]) for one, two in combinations(range(len(index)), 2)]
    found = np.concatenate([np.stack([a.ravel(), b.ravel()], axis=1) for a, b in beside])
    found = np.sort(found[(found >= 0).all(axis=1) & (found[:, 0] != found[:, 1])], axis=1)
    keys = np.unique(found[:, 0] * parts + found[:, 1])
    return np.stack([keys // parts, keys % parts], axis=1)
