# SPDX-License-Identifier: Apache-2.0
"""What is kept beside a case so that it is asked once: explanations of moved rows, say, or of scrambled nets."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np

from assay.basics.fingerprint import digest
from assay.basics.types import Floats
from assay.model.model import Meter

MOST = 32_000_000
"""Numbers a case keeps (256 MB) before it forgets the oldest answers."""

SPARE = 8_000_000
"""Numbers a case keeps beside, of what is cheap to make again (64 MB)."""


@dataclass(eq=False)
class ExplanationCache:
    """Answers by key, the oldest forgotten once there are more than ``most`` numbers.

    With each answer goes what it asked of the model, so that the meter counts as remembered what a second question
    would have asked. A key must name all that the answer depends on beside the case. ``answers`` hands out what can be
    known again in another process: what lies under keys of text and numbers, which stand for themselves. ``spare`` is
    for what is cheap to make again: kept while there is room beside, never at the cost of an answer. Without ``lends``
    methods share no gradients: these are too large for a store, and work that goes on from one would count otherwise.
    """

    meter: Meter
    most: int = MOST
    held: dict[Hashable, tuple[Floats, int]] = field(default_factory=dict, repr=False)
    other: dict[Hashable, tuple[Any, int]] = field(default_factory=dict, repr=False)
    spares: dict[Hashable, tuple[Any, int]] = field(default_factory=dict, repr=False)
    size: int = 0
    spared: int = 0
    lends: bool = True
    made: int = 0

    def once(self, key: Hashable, make: Callable[[], Floats]) -> Floats:
        """The answer under ``key``, made if it is not there; read only."""
        return self.several([key], lambda _: [make()])[0]

    def several(self, keys: Sequence[Hashable], make: Callable[[list[int]], Sequence[Floats]]) -> list[Floats]:
        """The answers under ``keys``, read only; ``make`` gives those that are not there, by their places, at once."""
        names = [_written(key) or key for key in keys]
        found = {place: self.held[name] for place, name in enumerate(names) if name in self.held}
        self.meter.remembered += sum(asked for _, asked in found.values())
        missing = [place for place in range(len(names)) if place not in found]
        if missing:
            before = self.meter.asked
            answers = make(missing)
            each, rest = divmod(self.meter.asked - before, len(missing))
            for place, answer in zip(missing, answers, strict=True):
                answer.flags.writeable = False
                found[place] = answer, each + (rest if place == missing[0] else 0)
                self._keep(names[place], *found[place])
        return [found[place][0] for place in range(len(names))]

    def spare(self, key: Hashable, size: int, make: Callable[[], Any]) -> Any:
        """Something of about ``size`` numbers that may be made again each time."""
        if key in self.spares:
            made, asked = self.spares[key]
            self.meter.remembered += asked
            return made
        before = self.meter.asked
        made = make()
        if self.spared + size <= SPARE:
            self.spares[key] = made, self.meter.asked - before
            self.spared += size
        return made

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
