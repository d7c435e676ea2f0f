# SPDX-License-Identifier: Apache-2.0
"""The caches of a game: values by query where a row has the same value in every batch, else by whole batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Any, Protocol

import numpy as np

from assay.basics.types import Floats, Ints

RECENT = 4096
"""Values held in a dictionary before they are sorted into the arrays."""

KEY_BYTES = 16
"""Bytes of the key of a batch."""

MIN_SIZE = 16
"""Values that a batch counts as at least, for its key and its array."""


class AnswerCache(Protocol):
    """Values of distinct queries: the row (query,) and the packed mask (query, byte) of each."""

    @property
    def stored_count(self) -> int:
        """How much has been stored, for ``export_entries``."""

    def find(self, which: Ints, packed: np.ndarray) -> tuple[Floats, Ints]:
        """The values (query,) of a batch, and the places of those that are to be evaluated."""

    def add(self, which: Ints, packed: np.ndarray, values: Floats) -> None:
        """Cache the values of a batch, or of the queries of a batch that were not cached."""

    def export_entries(self, since: int = 0) -> dict[str, np.ndarray]:
        """What was stored after the first ``since`` and is still cached, oldest first."""

    def import_entries(self, entries: Mapping[str, Any]) -> None:
        """Add what another cache of the same kind has exported."""


@dataclass(eq=False)
class BatchCache:
    """Values (query,) by the key of their batch; the oldest batches are dropped beyond ``max_size`` values.

    Only a whole batch is found again. The last digits of a net depend on the batch in which a row is evaluated, so a
    value taken from another batch would make a result depend on what was computed before.
    """

    max_size: int
    batches: dict[bytes, Floats] = field(default_factory=dict, repr=False)
    size: int = 0
    stored_count: int = 0

    def __len__(self) -> int:
        return sum(map(len, self.batches.values()))

    def find(self, which: Ints, packed: np.ndarray) -> tuple[Floats, Ints]:
        """The values of this very batch, and no places; or no values, and all places."""
        known = self.batches.get(batch_key(which, packed))
        if known is None:
            return np.empty(len(which)), np.arange(len(which))
        return known.copy(), np.arange(0)

    def add(self, which: Ints, packed: np.ndarray, values: Floats) -> None:
        """Cache the values of a batch."""
        self._add(batch_key(which, packed), values)

    def export_entries(self, since: int = 0) -> dict[str, np.ndarray]:
        """Keys, lengths and values of the batches after the first ``since``."""
        earlier = max(0, len(self.batches) - (self.stored_count - since))
        fresh = dict(islice(self.batches.items(), earlier, None))
        return {
            "keys": np.frombuffer(b"".join(fresh), dtype=np.uint8).reshape(-1, KEY_BYTES),
            "lengths": np.array([len(values) for values in fresh.values()], dtype=np.int64),
            "values": np.concatenate([*fresh.values(), np.empty(0)]),
        }

    def import_entries(self, entries: Mapping[str, Any]) -> None:
        """Add the batches that another cache has exported."""
        ends = np.cumsum(np.asarray(entries["lengths"], dtype=np.int64))
        parts = np.split(np.asarray(entries["values"], dtype=np.float64), ends[:-1]) if len(ends) else []
        for key, values in zip(np.asarray(entries["keys"], dtype=np.uint8), parts, strict=True):
            self._add(key.tobytes(), values)

    def _add(self, key: bytes, values: Floats) -> None:
        if key in self.batches:
            return
        self.batches[key] = np.array(values, dtype=np.float64)
        self.size += max(len(values), MIN_SIZE)
        self.stored_count += 1
        while self.size > self.max_size:
            self.size -= max(len(self.batches.pop(next(iter(self.batches)))), MIN_SIZE)


def batch_key(which: Ints, packed: np.ndarray) -> bytes:
    """A fingerprint of a batch of queries, in order."""
    found = blake2b(repr(packed.shape).encode(), digest_size=KEY_BYTES)
    found.update(np.ascontiguousarray(which, dtype=np.int64).data)
    found.update(np.ascontiguousarray(packed).data)
    return found.digest()


@dataclass(eq=False)
class QueryCache:
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
    places: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False)

    def __len__(self) -> int:
        return self.count - self.dropped

    @property
    def stored_count(self) -> int:
        """Number of cached values."""
        return len(self)

    def find(self, which: Ints, packed: np.ndarray) -> tuple[Floats, Ints]:
        """The values of the queries, and the places of those that are not cached."""
        found = self._positions(self._keys(which, packed))
        known, values = found >= 0, np.empty(len(which))
        values[known] = self.values[found[known]]
        return values, np.flatnonzero(~known)

    def add(self, which: Ints, packed: np.ndarray, values: Floats) -> None:
        """Cache the values of distinct queries; those that are cached keep their value."""
        keys = self._keys(which, packed)
        fresh = np.flatnonzero(self._positions(keys) < 0)
        self._add(keys[fresh], values[fresh])

    def export_entries(self, since: int = 0) -> dict[str, np.ndarray]:
        """Rows, packed masks and values of the queries after the first ``since``."""
        cached = slice(self.dropped + since, self.count)
        keys = self.keys[cached]
        numbers, places = np.unique(keys // self.rows, return_inverse=True)
        packed = b"".join(self.masks[number] for number in numbers.tolist())
        masks = np.frombuffer(packed, dtype=np.uint8).reshape(len(numbers), -1 if len(numbers) else 0)
        return {"rows": keys % self.rows, "masks": masks[places], "values": self.values[cached].copy()}

    def import_entries(self, entries: Mapping[str, Any]) -> None:
        """Add the values that another cache has exported."""
        values = np.asarray(entries["values"], dtype=np.float64)
        if len(values):
            self.add(np.asarray(entries["rows"]), np.asarray(entries["masks"]), values)

    def _keys(self, which: Ints, packed: np.ndarray) -> Ints:
        return self._number_packed_masks(packed) * self.rows + which

    def _number_packed_masks(self, packed: np.ndarray) -> Ints:
        if packed.shape[1] == 0:
            return self._number_bytes([b""] * len(packed))
        return self._number_bytes(np.ascontiguousarray(packed).view(f"V{packed.shape[1]}")[:, 0].tolist())

    def _number_bytes(self, masks: list[bytes]) -> Ints:
        for mask in dict.fromkeys(masks):
            if mask not in self.mask_numbers:
                self.mask_numbers[mask] = len(self.masks)
                self.masks.append(mask)
        return np.fromiter(map(self.mask_numbers.__getitem__, masks), dtype=np.int64, count=len(masks))

    def _positions(self, keys: Ints) -> Ints:
        """Position in ``values`` of each key; −1 where it is not cached."""
        found = np.full(len(keys), -1, dtype=np.int64)
        if len(self.sorted_keys):
            position = np.minimum(np.searchsorted(self.sorted_keys, keys), len(self.sorted_keys) - 1)
            found = np.where(self.sorted_keys[position] == keys, self.places[position], -1)
        if self.recent:
            missing = np.flatnonzero(found < self.dropped)
            recent = [self.recent.get(key, -1) for key in keys[missing].tolist()]
            found[missing] = np.array(recent, dtype=np.int64)
        return np.where(found >= self.dropped, found, -1)

    def _add(self, keys: Ints, values: Floats) -> None:
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
        self.sorted_keys, self.places = self.keys[order], order
        self.recent = {}
