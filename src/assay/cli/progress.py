# SPDX-License-Identifier: Apache-2.0
"""Progress of an audit: one updated line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Console


@dataclass
class ProgressLine:
    """Prints the plan of an audit, and its steps with the remaining time."""

    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))
    started: float = field(default_factory=time.monotonic)

    def __call__(self, event: str, text: str, share: float) -> None:
        """Print an event of an audit; ``share`` is the share of the planned cost spent so far."""
        seconds = time.monotonic() - self.started
        if event == "plan":
            self.console.print(f"plan: {text}", markup=False, soft_wrap=True)
        elif event == "step":
            remaining = f", about {seconds / share * (1 - share):.0f} s left" if 0.1 < share < 1 else ""
            line = f"{share:4.0%}  {text} ({seconds:.0f} s{remaining})"
            if self.console.is_terminal:
                self.console.print(f"{line:<100.100}", end="\r", markup=False)
            else:
                self.console.print(line, markup=False, soft_wrap=True)
        elif self.console.is_terminal:
            self.console.print(" " * 100, end="\r")
