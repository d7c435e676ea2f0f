# SPDX-License-Identifier: Apache-2.0
"""What a game remembers: answers by row and mask, found and kept in whole arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from assay.basics.types import Floats, Ints, Masks

RECENT = 4096
"""Answers kept in a dictionary before they are sorted in with the others."""


@dataclass(eq=False)
class AnswerCache:
    """Answers in the order they came, the oldest forgotten beyond ``most``.

    A mask has a number, a query the key number · rows + row. Keys are looked up in a sorted array; the latest few are
    still in a dictionary, so that a game asked one mask at a time does not sort each time.
    """

    rows: int
    most: int
    numbers: dict[bytes, int] = field(default_factory=dict, repr=False)
    masks: list[bytes] = field(default_factory=list, repr=False)
    keys: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False)
    values: Floats = field(default_factory=lambda: np.empty(0), repr=False)
    count: int = 0
    gone: int = 0
    recent: dict[int, int] = field(default_factory=dict, repr=False)
    ordered: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False)
    places: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False)

    def __len__(self) -> int:
        return self.count - self.gone

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Row and packed mask of each answer, oldest first."""
        for key in self.keys[self.gone : self.count].tolist():
            yield key % self.rows, self.masks[key // self.rows]

    def numbered(self, keep: Masks) -> Ints:
        """The number of each mask (mask, part)."""
        return self.numbered_bytes(np.packbits(keep, axis=1))

    def numbered_bytes(self, packed: np.ndarray) -> Ints:
        """The number of each packed mask (mask, byte)."""
        if packed.shape[1] == 0:
            return self._counted([b""] * len(packed))
        return self._counted(np.ascontiguousarray(packed).view(f"V{packed.shape[1]}")[:, 0].tolist())

    def _counted(self, masks: list[bytes]) -> Ints:
        for mask in dict.fromkeys(masks):
            if mask not in self.numbers:
                self.numbers[mask] = len(self.masks)
                self.masks.append(mask)
        return np.fromiter(map(self.numbers.__getitem__, masks), dtype=np.int64, count=len(masks))

    def find(self, keys: Ints) -> Ints:
        """Where each key's answer stands in ``values``; −1 where it is not known."""
        found = np.full(len(keys), -1, dtype=np.int64)
        if len(self.ordered):
            near = np.minimum(np.searchsorted(self.ordered, keys), len(self.ordered) - 1)
            found = np.where(self.ordered[near] == keys, self.places[near], -1)
        if self.recent:
            missing = np.flatnonzero(found < self.gone)
            latest = [self.recent.get(key, -1) for key in keys[missing].tolist()]
            found[missing] = np.array(latest, dtype=np.int64)
        return np.where(found >= self.gone, found, -1)

    def add(self, keys: Ints, values: Floats) -> None:
        """Remember answers to different keys that are not known, in this order."""
        if not len(keys):
            return
        end = self.count + len(keys)
        if end > len(self.keys):
            room = max(end, 2 * len(self.keys))
            self.keys, self.values = np.resize(self.keys, room), np.resize(self.values, room)
        self.keys[self.count : end], self.values[self.count : end] = keys, values
        self.recent.update(zip(keys.tolist(), range(self.count, end))) if len(keys) <= RECENT else None
        sort = len(keys) > RECENT or len(self.recent) > max(RECENT, len(self.ordered) // 4)
        self.count, self.gone = end, max(self.gone, end - self.most)
        if self.gone > max(RECENT, self.most // 4):
            self._compact()
        elif sort:
            self._sort()

    def _compact(self) -> None:
        """Give the space of what is forgotten back."""
        kept = slice(self.gone, self.count)
        self.keys, self.values = self.keys[kept].copy(), self.values[kept].copy()
        self.count, self.gone = len(self.keys), 0
        used = np.unique(self.keys // self.rows)
        self.masks = [self.masks[number] for number in used.tolist()]
        self.numbers = {mask: number for number, mask in enumerate(self.masks)}
        self.keys = np.searchsorted(used, self.keys // self.rows) * self.rows + self.keys % self.rows
        self._sort()

    def _sort(self) -> None:
        order = np.argsort(self.keys[self.gone : self.count], kind="stable") + self.gone
        self.ordered, self.places = self.keys[order], order
        self.recent = {}
