# SPDX-License-Identifier: Apache-2.0
"""A cache for a case: explanations of perturbed rows or of randomised nets, computed once for all methods."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np

from assay.basics.fingerprint import digest
from assay.basics.types import Floats
from assay.model.model import Meter

MAX_NUMBERS = 32_000_000
"""Numbers that the cache holds (256 MB) before it drops the oldest answers."""

MAX_RECOMPUTABLE = 8_000_000
"""Numbers that it holds in addition, of what is cheap to compute again (64 MB)."""


@dataclass(eq=False)
class ExplanationCache:
    """Answers by key; the oldest are dropped once there are more than ``most`` numbers.

    Each answer is stored with its cost, so that the meter counts a second request as cached. A key must name all that
    the answer depends on besides the case. ``export_entries`` returns what another process can look up again: the
    answers whose keys are text and numbers. ``get_recomputable`` is for what is cheap to compute again: it is stored
    while there is space, and never displaces an answer. Without ``shares_gradients`` methods share no gradients: these
    are too large for the result store, and a resumed audit would count differently.
    """

    meter: Meter
    most: int = MAX_NUMBERS
    entries: dict[Hashable, tuple[Floats, int]] = field(default_factory=dict, repr=False)
    objects: dict[Hashable, tuple[Any, int]] = field(default_factory=dict, repr=False)
    recomputable: dict[Hashable, tuple[Any, int]] = field(default_factory=dict, repr=False)
    size: int = 0
    recomputable_size: int = 0
    shares_gradients: bool = True
    stored_count: int = 0

    def get(self, key: Hashable, compute: Callable[[], Floats]) -> Floats:
        """The answer under ``key``, computed if it is not there; read only."""
        name = _portable(key) or key
        if name in self.entries:
            answer, cost = self.entries[name]
            self.meter.cached += cost
            return answer
        before = self.meter.requested
        answer = compute()
        answer.flags.writeable = False
        self._store(name, answer, self.meter.requested - before)
        return answer

    def get_recomputable(self, key: Hashable, size: int, compute: Callable[[], Any]) -> Any:
        """Something of about ``size`` numbers that may be computed again each time."""
        if key in self.recomputable:
            found, cost = self.recomputable[key]
            self.meter.cached += cost
            return found
        before = self.meter.requested
        computed = compute()
        if self.recomputable_size + size <= MAX_RECOMPUTABLE:
            self.recomputable[key] = computed, self.meter.requested - before
            self.recomputable_size += size
        return computed

    def get_object(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """Something that is no array and does not count among the numbers: a name, a retrained model."""
        if key not in self.objects:
            before = self.meter.requested
            self.objects[key] = compute(), self.meter.requested - before
        else:
            self.meter.cached += self.objects[key][1]
        return self.objects[key][0]

    def export_entries(self, since: int = 0) -> dict[str, Any]:
        """The answers after the first ``since`` that are still stored: names, costs and arrays."""
        fresh = list(self.entries.items())[max(0, len(self.entries) - (self.stored_count - since)) :]
        named = [(name, answer, cost) for name, (answer, cost) in fresh if isinstance(name, str)]
        costs = np.array([cost for _, _, cost in named], dtype=np.int64)
        return {"names": [name for name, _, _ in named], "costs": costs, "arrays": [array for _, array, _ in named]}

    def import_entries(self, entries: Mapping[str, Any]) -> None:
        """Add answers of this case from another process."""
        for name, array, cost in zip(entries["names"], entries["arrays"], np.asarray(entries["costs"]).tolist()):
            if name not in self.entries:
                answer = np.array(array, dtype=np.float64)
                answer.flags.writeable = False
                self._store(name, answer, cost)

    def _store(self, key: Hashable, answer: Floats, cost: int) -> None:
        self.entries[key] = answer, cost
        self.size += answer.size
        self.stored_count += 1
        while self.size > self.most:
            oldest = next(iter(self.entries))
            self.size -= self.entries.pop(oldest)[0].size


def _portable(key: Hashable) -> str | None:
    """A fingerprint of the key that is the same in any process; ``None`` unless the key is text and numbers."""
    return digest(repr(key)) if _plain(key) else None


def _plain(key: Any) -> bool:
    if isinstance(key, tuple):
        return all(map(_plain, key))
    if is_dataclass(key) and not isinstance(key, type):
        return all(_plain(getattr(key, item.name)) for item in fields(key))
    return isinstance(key, str | int | float | None)
