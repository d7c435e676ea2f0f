# SPDX-License-Identifier: Apache-2.0
"""Fillings: removals bound to rows, which replace the absent features of each row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import CapabilityError
from assay.basics.types import Array, Floats, Ints, Masks
from assay.cases.inpainting import inpaint
from assay.nouns.inputs.rows import to_floats


@runtime_checkable
class Filling(Protocol):
    """``fill(which, keep)`` yields versions of rows ``which`` (query,); elements with ``keep`` False are replaced.

    ``keep`` has axes (query, *shape). Fillings that replace every element by itself also take a soft ``keep`` of
    numbers 0 … 1 (``fill_softly``): the version is keep · x + (1 − keep) · filling.
    """

    def fill(self, which: Ints, keep: Masks) -> Iterator[Array]:
        """Yield the versions (query, *shape)."""


@dataclass(frozen=True, eq=False)
class FixedReplacement:
    """One version with elements of ``other``, which has one row for all rows or one per row."""

    x: Array
    other: Array

    def fill(self, which: Ints, keep: Masks | Floats) -> Iterator[Array]:
        """Yield the version."""
        yield replace_absent(
            keep, _select_rows(self.x, which), self.other if len(self.other) == 1 else _select_rows(self.other, which)
        )


@dataclass(frozen=True, eq=False)
class EachBackgroundRow:
    """One version per background row."""

    x: Array
    background: Array

    def fill(self, which: Ints, keep: Masks) -> Iterator[Array]:
        """Yield the versions in the order of the background."""
        rows = _select_rows(self.x, which)
        for other in self.background:
            yield replace_absent(keep, rows, other)


@dataclass(frozen=True, eq=False)
class NearestBackgroundRows:
    """One version per background row among the ``k`` nearest in the present elements.

    Elements with ``coded`` (element,) are compared by equality; the others are divided by ``scale`` (element,). A
    missing number is at distance 0 from a missing one and 1 from any other.
    """

    x: Array
    background: Array
    k: int
    coded: Masks
    scale: Floats

    def fill(self, which: Ints, keep: Masks) -> Iterator[Array]:
        """Yield the versions from the nearest background row to the farthest."""
        rows = self.x[which]
        nearest = self.nearest(to_floats(rows).reshape(len(rows), -1), keep.reshape(len(rows), -1))
        for rank in range(self.k):
            yield replace_absent(keep, rows, self.background[nearest[:, rank]])

    def nearest(self, rows: Floats, present: Masks) -> Ints:
        """Positions (query, k) in the background, ties in background order."""
        other = to_floats(self.background).reshape(len(self.background), -1)
        missing = np.isnan(other)
        found = np.empty((len(rows), self.k), dtype=np.int64)
        for i, (row, where) in enumerate(zip(rows, present)):
            gap = (other[:, where] - row[where]) / self.scale[where]
            both, one = (missing[:, where] & np.isnan(row[where]), missing[:, where] ^ np.isnan(row[where]))
            gap = np.where(both, 0.0, np.where(one, 1.0, gap))
            distance = np.where(self.coded[where], gap != 0, gap**2).sum(axis=1)
            found[i] = np.argsort(distance, kind="stable")[: self.k]
        return found


@dataclass(frozen=True, eq=False)
class ImputedPixels:
    """One version: absent pixels interpolated from their neighbours, plus ``noise`` (row, *shape)."""

    x: Array
    noise: Floats

    def fill(self, which: Ints, keep: Masks) -> Iterator[Array]:
        """Yield the version."""
        rows = self.x[which]
        images, missing = to_floats(rows).reshape(-1, *keep.shape[2:]), ~keep.reshape(-1, *keep.shape[2:])
        filled = inpaint(images, missing).reshape(keep.shape) + self.noise[which]
        xp = array_namespace(rows)
        where = {"device": rows.device} if is_torch_array(rows) else {}
        yield replace_absent(keep, rows, xp.asarray(filled, dtype=rows.dtype, **where))


def fill_softly(filling: Filling, which: Ints, keep: Floats) -> Array:
    """The version of rows ``which`` (query,) with the share ``keep`` (query, *shape) of each element, 0 … 1, kept.

    ``CapabilityError`` for fillings of several versions, and for those whose filling depends on what is present.
    """
    if not isinstance(filling, FixedReplacement):
        raise CapabilityError(
            "a soft mask needs one filling of every element that does not depend on the others: remove=assay.Blur(), "
            "assay.Constant(value) or assay.Mean(background)."
        )
    return next(filling.fill(which, np.ascontiguousarray(keep)))


def replace_absent(keep: Masks | Floats, x: Array, other: Array) -> Array:
    """``x`` where ``keep`` is True, else ``other``; a mixture for numbers 0 … 1. Either may be one row for all."""
    xp = array_namespace(x)
    if keep.dtype.kind == "f":
        share = xp.asarray(keep, dtype=x.dtype, device=x.device) if is_torch_array(x) else keep.astype(x.dtype)
        return share * x + (1 - share) * other
    repeats = (slice(None) if step else slice(0, 1) for step in keep.strides[1:])
    keep = keep[(slice(None), *repeats)]  # axes with stride 0 are read once
    mask = xp.asarray(keep, device=x.device) if is_torch_array(x) else keep
    return xp.where(mask, x, other)


def _select_rows(x: Array, which: Ints) -> Array:
    """The rows ``which``; a single row, to broadcast, if all are the same."""
    return x[which[:1]] if len(which) and (which == which[0]).all() else x[which]
