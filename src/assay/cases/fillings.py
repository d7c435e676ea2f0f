# SPDX-License-Identifier: Apache-2.0
"""Rows with parts filled in: what a removal becomes once it knows the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.types import Array, Floats, Ints, Masks
from assay.cases.inpainting import inpainted
from assay.nouns.inputs.rows import to_floats


@runtime_checkable
class Filling(Protocol):
    """``fill(which, keep)`` yields versions of rows ``which`` (query,) whose elements with ``keep`` False are replaced.

    ``keep`` has axes (query, *shape).
    """

    def fill(self, which: Ints, keep: Masks) -> Iterator[Array]:
        """The versions (query, *shape), one after another."""


@dataclass(frozen=True, eq=False)
class Painted:
    """One version: from ``other``, which has one row for all rows or one for each."""

    x: Array
    other: Array

    def fill(self, which: Ints, keep: Masks) -> Iterator[Array]:
        """Yield it."""
        yield chosen(keep, _owned(self.x, which), self.other if len(self.other) == 1 else _owned(self.other, which))


@dataclass(frozen=True, eq=False)
class FromEach:
    """One version for each row of a background."""

    x: Array
    background: Array

    def fill(self, which: Ints, keep: Masks) -> Iterator[Array]:
        """Yield them in the background's order."""
        rows = _owned(self.x, which)
        for other in self.background:
            yield chosen(keep, rows, other)


@dataclass(frozen=True, eq=False)
class FromNearest:
    """One version for each of the ``k`` background rows nearest in what is kept.

    ``coded`` (element,) marks elements compared by equality, ``scale`` (element,) divides the others.
    """

    x: Array
    background: Array
    k: int
    coded: Masks
    scale: Floats

    def fill(self, which: Ints, keep: Masks) -> Iterator[Array]:
        """Yield them from the nearest on."""
        rows = self.x[which]
        nearest = self.nearest(to_floats(rows).reshape(len(rows), -1), keep.reshape(len(rows), -1))
        for rank in range(self.k):
            yield chosen(keep, rows, self.background[nearest[:, rank]])

    def nearest(self, rows: Floats, kept: Masks) -> Ints:
        """Positions (query, k) in the background; ties fall in background order."""
        other = to_floats(self.background).reshape(len(self.background), -1)
        found = np.empty((len(rows), self.k), dtype=np.int64)
        for i, (row, where) in enumerate(zip(rows, kept)):
            gap = (other[:, where] - row[where]) / self.scale[where]
            far = np.where(self.coded[where], gap != 0, gap**2).sum(axis=1)
            found[i] = np.argsort(far, kind="stable")[: self.k]
        return found


@dataclass(frozen=True, eq=False)
class Imputed:
    """One version: absent pixels from their neighbours, and ``noise`` (row, *shape) on top."""

    x: Array
    noise: Floats

    def fill(self, which: Ints, keep: Masks) -> Iterator[Array]:
        """Yield it."""
        rows = self.x[which]
        pictures, missing = to_floats(rows).reshape(-1, *keep.shape[2:]), ~keep.reshape(-1, *keep.shape[2:])
        filled = inpainted(pictures, missing).reshape(keep.shape) + self.noise[which]
        xp = array_namespace(rows)
        where = {"device": rows.device} if is_torch_array(rows) else {}
        yield chosen(keep, rows, xp.asarray(filled, dtype=rows.dtype, **where))


def chosen(keep: Masks, x: Array, other: Array) -> Array:
    """``x`` where kept, else ``other``; either may be one row for all."""
    xp = array_namespace(x)
    repeats = (slice(None) if step else slice(0, 1) for step in keep.strides[1:])
    keep = keep[(slice(None), *repeats)]  # what repeats along an axis is read once
    mask = xp.asarray(keep, device=x.device) if is_torch_array(x) else keep
    return xp.where(mask, x, other)


def _owned(x: Array, which: Ints) -> Array:
    """The rows ``which``; one row where all are the same, which stands for as many as there are masks."""
    return x[which[:1]] if len(which) and (which == which[0]).all() else x[which]
