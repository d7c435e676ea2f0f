# SPDX-License-Identifier: Apache-2.0
"""Progress of a command on standard error: the share done, the rate, and the time left."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from assay.cli.terminal.printable import printable

if TYPE_CHECKING:
    from assay.model.model import Meter
    from assay.nouns.catalogue import Cost

FIRST, TERMINAL_EVERY, PLAIN_EVERY = 2.0, 0.2, 10.0
"""Seconds until the first line, and between lines on a terminal and elsewhere."""


LEAST_SHARE = 0.02
"""The share that must be done before the time left is estimated from it."""


class _Stream(Protocol):
    """Where the lines are written."""

    def write(self, text: str, /) -> object:
        """Write a text."""

    def flush(self) -> object:
        """Write what is buffered."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""


@dataclass
class ProgressLine:
    """One line on standard error, from two seconds on; as a context it is renewed by a thread, which only reads.

    On a terminal the line is rewritten in place; elsewhere, and on a dumb terminal, there is a line each 10 seconds at
    most. ``done`` counts ``unit`` done so far, ``planned`` is their planned number (0: unknown), of which ``cached``
    counts those that need not be done. An audit sets the share itself, by calling the object with its events. Nothing
    is written where ``quiet``.
    """

    done: Callable[[], int] = lambda: 0
    cached: Callable[[], int] = lambda: 0
    planned: int = 0
    label: str = ""
    unit: str = "evaluations"
    quiet: bool = False
    stream: _Stream = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic
    share: float | None = None
    started: float = field(init=False)
    written: float | None = field(default=None, init=False)
    closed: threading.Event = field(default_factory=threading.Event, init=False)
    thread: threading.Thread | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()
        self.in_place = self.stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")

    def __call__(self, event: str, text: str, share: float) -> None:
        """Take an event of an audit; ``share`` is the share of the planned cost spent so far."""
        if event == "plan" and not self.quiet:
            self._clear()
            self.stream.write(f"plan: {printable(text)}\n")
        elif event == "step":
            self.label, self.share = text, share

    def __enter__(self) -> ProgressLine:
        if not self.quiet:
            self.thread = threading.Thread(target=self._renew, name="progress", daemon=True)
            self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed.set()
        if self.thread is not None:
            self.thread.join()
        self._clear()

    def _renew(self) -> None:
        while not self.closed.wait(TERMINAL_EVERY):
            try:
                self.update()
            except (OSError, ValueError):  # standard error is closed
                return

    def update(self) -> None:
        """Write the line, if it is time for one."""
        now = self.clock()
        every = TERMINAL_EVERY if self.in_place else PLAIN_EVERY
        too_early = now - self.started < FIRST or (self.written is not None and now - self.written < 0.99 * every)
        if self.quiet or too_early:
            return
        self.written = now
        if self.in_place:
            width = max(shutil.get_terminal_size().columns - 1, 10)
            self.stream.write(f"\r{self.line(now)[:width]:<{width}}")
        else:
            self.stream.write(f"{self.line(now)}\n")
        self.stream.flush()

    def line(self, now: float) -> str:
        """The share done, the rate, the time passed and left, and what is running; without what is unknown."""
        seconds, done = now - self.started, self.done()
        share = self.share if self.share is not None else self._planned_share()
        if share is not None and not 0 <= share < 1:
            share = None
        rate = done / seconds if seconds else 0.0
        left = f", about {_duration(seconds / share * (1 - share))} left" if share and share >= LEAST_SHARE else ""
        percent = "" if share is None else f"{share:4.0%}  "
        speed = f"{rate:,.0f} {self.unit}/s  " if rate >= 10 else f"{rate:.2g} {self.unit}/s  " if done else ""
        return f"{percent}{speed}{_duration(seconds)}{left}  {printable(self.label)}".rstrip()

    def _planned_share(self) -> float | None:
        return (self.done() + self.cached()) / self.planned if self.planned else None

    def _clear(self) -> None:
        """Erase the line in place."""
        if self.in_place and self.written is not None:
            width = max(shutil.get_terminal_size().columns - 1, 10)
            self.stream.write(f"\r{'':<{width}}\r")
            self.stream.flush()


def meter_progress(meter: Meter, label: str, cost: Cost | None = None, quiet: bool = False) -> ProgressLine:
    """The progress of a call that is measured by the meter of its model; ``cost`` is the planned one, if known."""
    before, saved = meter.forwards + meter.backwards, meter.cached
    planned = 0 if cost is None else cost.forwards + cost.backwards
    return ProgressLine(
        lambda: meter.forwards + meter.backwards - before, lambda: meter.cached - saved, planned, label, quiet=quiet
    )


def _duration(seconds: float) -> str:
    """Seconds as 12 s, 3 min or 2 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
