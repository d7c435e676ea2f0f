# SPDX-License-Identifier: Apache-2.0
"""What is kept beside a case so that it is asked once: explanations of moved rows, say, or of scrambled nets."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np

from assay.model.model import Meter
from assay.words.digest import digest
from assay.words.types import Floats

MOST = 32_000_000
"""Numbers a case keeps (256 MB) before it forgets the oldest answers."""


@dataclass(eq=False)
class Recall:
    """Answers by key, the oldest forgotten once there are more than ``most`` numbers.

    With each answer goes what it asked of the model, so that the meter counts as remembered what a second question
    would have asked. A key must name all that the answer depends on beside the case. ``answers`` hands out what can be
    known again in another process: what lies under keys of text and numbers, which stand for themselves.
    """

    meter: Meter
    most: int = MOST
    held: dict[Hashable, tuple[Floats, int]] = field(default_factory=dict, repr=False)
    other: dict[Hashable, tuple[Any, int]] = field(default_factory=dict, repr=False)
    size: int = 0
    made: int = 0

    def once(self, key: Hashable, make: Callable[[], Floats]) -> Floats:
        """The answer under ``key``, made if it is not there; read only."""
        name = _written(key) or key
        if name in self.held:
            answer, asked = self.held[name]
            self.meter.remembered += asked
            return answer
        before = self.meter.asked
        answer = make()
        answer.flags.writeable = False
        self._keep(name, answer, self.meter.asked - before)
        return answer

    def kept(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Something that is no array, not counted among the numbers: a name, a refitted model."""
        if key not in self.other:
            before = self.meter.asked
            self.other[key] = make(), self.meter.asked - before
        else:
            self.meter.remembered += self.other[key][1]
        return self.other[key][0]

    def answers(self, since: int = 0) -> dict[str, Any]:
        """What was answered after the first ``since`` answers and is still held: names, prices and arrays."""
        fresh = list(self.held.items())[max(0, len(self.held) - (self.made - since)) :]
        told = [(name, answer, asked) for name, (answer, asked) in fresh if isinstance(name, str)]
        prices = np.array([asked for _, _, asked in told], dtype=np.int64)
        return {"names": [name for name, _, _ in told], "prices": prices, "arrays": [array for _, array, _ in told]}

    def learn(self, answers: Mapping[str, Any]) -> None:
        """Remember ``answers`` given before, of this case in another process."""
        for name, array, asked in zip(answers["names"], answers["arrays"], np.asarray(answers["prices"]).tolist()):
            if name not in self.held:
                held = np.array(array, dtype=np.float64)
                held.flags.writeable = False
                self._keep(name, held, asked)

    def _keep(self, key: Hashable, answer: Floats, asked: int) -> None:
        self.held[key] = answer, asked
        self.size += answer.size
        self.made += 1
        while self.size > self.most:
            oldest = next(iter(self.held))
            self.size -= self.held.pop(oldest)[0].size


def _written(key: Hashable) -> str | None:
    """A mark that says all the key says, in any process; ``None`` where the key has more than text and numbers."""
    return digest(repr(key)) if _plain(key) else None


def _plain(key: Any) -> bool:
    if isinstance(key, tuple):
        return all(map(_plain, key))
    if is_dataclass(key) and not isinstance(key, type):
        return all(_plain(getattr(key, item.name)) for item in fields(key))
    return isinstance(key, str | int | float | None)
