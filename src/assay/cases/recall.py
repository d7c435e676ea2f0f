# SPDX-License-Identifier: Apache-2.0
"""What is kept beside a case so that it is asked once: explanations of moved rows, say, or of scrambled nets."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from assay.model.model import Meter
from assay.words.types import Floats

MOST = 32_000_000
"""Numbers a case keeps (256 MB) before it forgets the oldest answers."""


@dataclass(eq=False)
class Recall:
    """Answers by key, the oldest forgotten once there are more than ``most`` numbers.

    With each answer goes what it asked of the model, so that the meter counts as remembered what a second question
    would have asked. A key must name all that the answer depends on beside the case.
    """

    meter: Meter
    most: int = MOST
    held: dict[Hashable, tuple[Floats, int]] = field(default_factory=dict, repr=False)
    other: dict[Hashable, tuple[Any, int]] = field(default_factory=dict, repr=False)
    size: int = 0

    def once(self, key: Hashable, make: Callable[[], Floats]) -> Floats:
        """The answer under ``key``, made if it is not there; read only."""
        if key in self.held:
            answer, asked = self.held[key]
            self.meter.remembered += asked
            return answer
        before = self.meter.asked
        answer = make()
        answer.flags.writeable = False
        self._keep(key, answer, self.meter.asked - before)
        return answer

    def kept(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Something that is no array, not counted among the numbers: a name, a refitted model."""
        if key not in self.other:
            before = self.meter.asked
            self.other[key] = make(), self.meter.asked - before
        else:
            self.meter.remembered += self.other[key][1]
        return self.other[key][0]

    def _keep(self, key: Hashable, answer: Floats, asked: int) -> None:
        self.held[key] = answer, asked
        self.size += answer.size
        while self.size > self.most:
            oldest = next(iter(self.held))
            self.size -= self.held.pop(oldest)[0].size
