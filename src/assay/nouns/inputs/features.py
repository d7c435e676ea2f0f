# SPDX-License-Identifier: Apache-2.0
"""Feature maps: how an input is cut into parts, the players of every game."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.types import Floats, Ints, Masks, PerPart, Queries, Which


@dataclass(frozen=True, eq=False)
class Features:
    """The map from elements of a row to features ("parts"); −1 is padding, which is never removed.

    ``index`` has axes (*shape) when all rows share one map, (row, *shape) when each row has its own
    (superpixels). Parts are numbered 0 … n − 1; with one map per row, a row may have fewer than n: its missing
    parts are empty and get the value 0.
    """

    index: Ints
    names: tuple[str, ...]
    per_row: bool = False

    def __post_init__(self) -> None:
        index = np.asarray(self.index)
        if index.dtype.kind not in "iu":
            raise InputError(f"a feature map holds integers; got {index.dtype}.")
        if self.per_row and index.ndim < 2:
            raise InputError(f"a feature map per row has axes (row, *shape); got shape {index.shape}.")
        if index.size == 0 or not self.names or index.min() < -1 or index.max() >= len(self.names):
            raise InputError(
                f"a feature map numbers its parts 0 … {len(self.names) - 1} (−1 for none); found "
                f"{index.min() if index.size else 'no element'} … {index.max() if index.size else ''}."
            )
        if not self.per_row:
            empty = np.setdiff1d(np.arange(len(self.names)), index)
            if len(empty):
                raise InputError(
                    f"part(s) {empty[:8].tolist()} of the feature map are empty; number the parts without gaps."
                )
        object.__setattr__(self, "index", index.astype(np.int64))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return self.index.shape[1:] if self.per_row else self.index.shape

    @property
    def elementwise(self) -> bool:
        """Whether every element is one part."""
        return not self.per_row and len(self) == self.index.size

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the map and the names."""
        return digest(self.index, self.names)

    def at(self, which: Ints) -> Features:
        """The feature map of the rows ``which``."""
        return Features(self.index[which], self.names, per_row=True) if self.per_row else self

    def expand_masks(self, keep: Queries, which: Which) -> Masks:
        """Masks over parts (mask, part) as masks over elements (mask, *shape); padding is always present.

        Axes along which the map repeats (an image's channels) take no memory: they have stride 0. Read only.
        """
        padded = np.concatenate([keep, np.ones((len(keep), 1), dtype=bool)], axis=1)
        if self.per_row:
            index = self.index[which].reshape(len(which), -1)
            return np.take_along_axis(padded, index, axis=1).reshape(len(which), *self.shape)
        small = np.take(padded, self._without_repeats, axis=1)
        strides = [
            step if own == full else 0
            for step, own, full in zip(small.strides[1:], self._without_repeats.shape, self.shape)
        ]
        return as_strided(small, (len(keep), *self.shape), (small.strides[0], *strides))

    @cached_property
    def _without_repeats(self) -> Ints:
        """The index with length 1 along axes where it repeats: channels with one map, dimensions of a token."""
        index = self.index
        for axis in range(index.ndim):
            first = index.take([0], axis=axis)
            index = first if (index == first).all() else index
        return index

    def pool(self, values: Floats) -> PerPart:
        """Sums (row, part) of values (row, *shape) over the elements of each part."""
        if self.elementwise:
            flat: Floats = np.empty((len(values), len(self)))
            flat[:, self.index.ravel()] = values.reshape(len(values), -1)
            return flat
        index = self.index.reshape(len(self.index) if self.per_row else 1, -1)
        parts = len(self) + 1
        bins = (index % parts) + np.arange(len(values))[:, None] * parts  # −1 goes to the last bin
        sums = np.bincount(bins.ravel(), weights=values.reshape(len(values), -1).ravel(), minlength=len(values) * parts)
        return np.asarray(sums.reshape(len(values), parts)[:, :-1], dtype=np.float64)

    def map(self, values: PerPart) -> Floats:
        """Values (row, *shape) that give every element the value of its part (row, part); padding gets 0."""
        padded = np.concatenate([values, np.zeros((len(values), 1))], axis=1)
        if self.per_row:
            index = self.index.reshape(len(values), -1)
            return np.take_along_axis(padded, index, axis=1).reshape(len(values), *self.shape)
        return padded[:, self.index]

    @cached_property
    def sizes(self) -> Ints:
        """Number of elements in each part: (part,), or (row, part) with one map per row."""
        index = self.index.reshape(len(self.index) if self.per_row else 1, -1)
        counts = np.stack([np.bincount(row[row >= 0], minlength=len(self)) for row in index])
        return counts if self.per_row else counts[0]


def elements(shape: Sequence[int], names: Sequence[str] | None = None) -> Features:
    """The feature map with every element as a part."""
    size = int(np.prod(shape))
    return Features(np.arange(size).reshape(tuple(shape)), _named(names, size))


def default_unit_axis(dimensions: int) -> int:
    """The axis of a layer's units where its operations do not tell: the first of a map with three axes, else the last.

    >>> default_unit_axis(3), default_unit_axis(2)
    (0, 1)
    """
    return 0 if dimensions == 3 else dimensions - 1


def units(shape: Sequence[int], axis: int | None = None) -> Features:
    """The units of a layer, positions along ``axis`` of its rows' shape; ``None`` takes ``default_unit_axis``.

    >>> units((2, 8, 8)).names, units((5, 3)).names
    (('channel 0', 'channel 1'), ('unit 0', 'unit 1', 'unit 2'))
    """
    axis = default_unit_axis(len(shape)) if axis is None else axis
    kind = "channel" if len(shape) == 3 or axis < len(shape) - 1 else "unit"
    along = np.arange(shape[axis]).reshape([-1 if one == axis else 1 for one in range(len(shape))])
    return Features(np.broadcast_to(along, tuple(shape)).copy(), tuple(f"{kind} {i}" for i in range(shape[axis])))


def columns(names: Sequence[str]) -> Features:
    """The feature map with every column of a table as a part."""
    return elements((len(names),), names)


def groups(groups: Mapping[str, Sequence[str]], names: Sequence[str]) -> Features:
    """Named groups of columns as parts; a column of no group is a part by itself.

    >>> groups({"address": ["street", "town"]}, ["age", "street", "town"]).names
    ('address', 'age')
    """
    places = {name: i for i, name in enumerate(names)}
    index = np.full(len(names), -1)
    for number, (group, members) in enumerate(groups.items()):
        for member in members:
            if member not in places:
                raise InputError(f"group {group!r} names column {member!r}, which is not among {list(names)[:8]}.")
            if index[places[member]] >= 0:
                raise InputError(f"column {member!r} is in two groups; a column belongs to one group.")
            index[places[member]] = number
    ungrouped = [i for i in range(len(names)) if index[i] < 0]
    index[ungrouped] = np.arange(len(groups), len(groups) + len(ungrouped))
    return Features(index, (*groups, *(names[i] for i in ungrouped)))


def grid(shape: Sequence[int], patch: int) -> Features:
    """Square patches of an image (channel, height, width) as parts; the last row and column may be narrower."""
    if patch < 1:
        raise InputError(f"patch={patch}; the side of a patch must be at least 1 pixel.")
    if len(shape) != 3:
        raise InputError(f"grid needs images (channel, height, width); the rows have shape {tuple(shape)}.")
    channels, height, width = shape
    down, across = np.arange(height) // patch, np.arange(width) // patch
    index = down[:, None] * (across[-1] + 1) + across[None, :]
    names = [f"{r},{c}" for r in range(int(down[-1]) + 1) for c in range(int(across[-1]) + 1)]
    return Features(np.broadcast_to(index, (channels, height, width)).copy(), tuple(names))


def superpixels(images: Any, count: int = 60, compactness: float = 10.0) -> Features:
    """SLIC superpixels of each image (row, channel, height, width) as parts; needs scikit-image."""
    slic = need("skimage.segmentation", extra="image").slic
    pictures = np.asarray(images, dtype=np.float64)
    if pictures.ndim != 4:
        raise InputError(f"superpixels needs images (row, channel, height, width); got shape {pictures.shape}.")
    span = np.ptp(pictures) or 1.0
    scaled = (pictures - pictures.min()) / span
    cuts = np.stack(
        [slic(picture, n_segments=count, compactness=compactness, channel_axis=0, start_label=0) for picture in scaled]
    )
    index = np.broadcast_to(cuts[:, None], pictures.shape).copy()
    return Features(index, tuple(str(i) for i in range(int(cuts.max()) + 1)), per_row=True)


def integer_map(index: Any, names: Sequence[str] | None = None, *, per_row: bool = False) -> Features:
    """Any map from elements to parts 0 … n − 1; −1 is padding. With ``per_row`` each row has its own map."""
    index = np.asarray(index)
    return Features(index, _named(names, int(index.max()) + 1 if index.size else 0), per_row=per_row)


def _named(names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count) if names is None else names))
