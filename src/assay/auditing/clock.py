# SPDX-License-Identifier: Apache-2.0
"""When an audit ran, and how long it took."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Started when it is made."""

    started: float = field(default_factory=time.monotonic)
    day: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))

    def times(self, spent: Mapping[str, int]) -> dict[str, str]:
        """The day, the seconds since the start, and what was ``spent``, as text."""
        return {
            "when": self.day.strftime("%Y-%m-%d %H:%M UTC"),
            "took": f"{time.monotonic() - self.started:.0f} s",
            **{name: f"{count:,}" for name, count in spent.items()},
        }
