# SPDX-License-Identifier: Apache-2.0
"""The cache of a game: values by row and mask, in arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from assay.basics.types import Floats, Ints, Masks

RECENT = 4096
"""Values held in a dictionary before they are sorted into the arrays."""


@dataclass(eq=False)
class AnswerCache:
    """Values in order of arrival; the oldest are dropped beyond ``max_size``.

    A mask has a number, a query the key number · rows + row. Keys are looked up in a sorted array; the most recent
    are in a dictionary, so that a game evaluated one mask at a time does not sort each time.
    """

    rows: int
    max_size: int
    mask_numbers: dict[bytes, int] = field(default_factory=dict, repr=False)
    masks: list[bytes] = field(default_factory=list, repr=False)
    keys: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False)
    values: Floats = field(default_factory=lambda: np.empty(0), repr=False)
    count: int = 0
    dropped: int = 0
    recent: dict[int, int] = field(default_factory=dict, repr=False)
    sorted_keys: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False)
    positions: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False)

    def __len__(self) -> int:
        return self.count - self.dropped

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Row and packed mask of each value, oldest first."""
        for key in self.keys[self.dropped : self.count].tolist():
            yield key % self.rows, self.masks[key // self.rows]

    def number_masks(self, keep: Masks) -> Ints:
        """The number of each mask (mask, part)."""
        return self.number_packed_masks(np.packbits(keep, axis=1))

    def number_packed_masks(self, packed: np.ndarray) -> Ints:
        """The number of each packed mask (mask, byte)."""
        if packed.shape[1] == 0:
            return self._number_bytes([b""] * len(packed))
        return self._number_bytes(np.ascontiguousarray(packed).view(f"V{packed.shape[1]}")[:, 0].tolist())

    def _number_bytes(self, masks: list[bytes]) -> Ints:
        for mask in dict.fromkeys(masks):
            if mask not in self.mask_numbers:
                self.mask_numbers[mask] = len(self.masks)
                self.masks.append(mask)
        return np.fromiter(map(self.mask_numbers.__getitem__, masks), dtype=np.int64, count=len(masks))

    def find(self, keys: Ints) -> Ints:
        """Position in ``values`` of each key; −1 where it is not cached."""
        found = np.full(len(keys), -1, dtype=np.int64)
        if len(self.sorted_keys):
            position = np.minimum(np.searchsorted(self.sorted_keys, keys), len(self.sorted_keys) - 1)
            found = np.where(self.sorted_keys[position] == keys, self.positions[position], -1)
        if self.recent:
            missing = np.flatnonzero(found < self.dropped)
            recent = [self.recent.get(key, -1) for key in keys[missing].tolist()]
            found[missing] = np.array(recent, dtype=np.int64)
        return np.where(found >= self.dropped, found, -1)

    def add(self, keys: Ints, values: Floats) -> None:
        """Append the values of distinct keys that are not cached."""
        if not len(keys):
            return
        end = self.count + len(keys)
        if end > len(self.keys):
            capacity = max(end, 2 * len(self.keys))
            self.keys, self.values = np.resize(self.keys, capacity), np.resize(self.values, capacity)
        self.keys[self.count : end], self.values[self.count : end] = keys, values
        self.recent.update(zip(keys.tolist(), range(self.count, end))) if len(keys) <= RECENT else None
        sort = len(keys) > RECENT or len(self.recent) > max(RECENT, len(self.sorted_keys) // 4)
        self.count, self.dropped = end, max(self.dropped, end - self.max_size)
        if self.dropped > max(RECENT, self.max_size // 4):
            self._compact()
        elif sort:
            self._sort()

    def _compact(self) -> None:
        """Free the space of dropped values."""
        current = slice(self.dropped, self.count)
        self.keys, self.values = self.keys[current].copy(), self.values[current].copy()
        self.count, self.dropped = len(self.keys), 0
        used = np.unique(self.keys // self.rows)
        self.masks = [self.masks[number] for number in used.tolist()]
        self.mask_numbers = {mask: number for number, mask in enumerate(self.masks)}
        self.keys = np.searchsorted(used, self.keys // self.rows) * self.rows + self.keys % self.rows
        self._sort()

    def _sort(self) -> None:
        order = np.argsort(self.keys[self.dropped : self.count], kind="stable") + self.dropped
        self.sorted_keys, self.positions = self.keys[order], order
        self.recent = {}
