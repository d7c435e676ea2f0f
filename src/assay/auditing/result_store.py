# SPDX-License-Identifier: Apache-2.0
"""What has been worked out already, by the digest of everything it depends on. A killed audit goes on from here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.cases.explanation_cache import ExplanationCache
from assay.cases.game import Game
from assay.engine.declare import versions
from assay.model.model import Meter
from assay.nouns.records.store import Bundle, load, save, to_jsonable

AnswerCache = Game | ExplanationCache
"""What a case has learnt in answering."""


@dataclass(frozen=True)
class Entry:
    """A step's outcome, and what it cost when it was made: rows asked for, rows through the model, rows back."""

    outcome: Any
    cost: Mapping[str, int]
    seconds: float
    fresh: bool


@dataclass
class ResultStore:
    """Outcomes of steps in a folder, one file each, written whole or not at all and never changed; or in no folder.

    A file's name is a mark of all that its content depends on, so audits may share a folder: they find each other's
    outcomes and cannot harm them. A lock makes the second of two audits wait instead of working on the same step.
    What game and recall of the case had learnt in the step is kept beside it, so that an audit that goes on asks the
    model for exactly what it would have been asked without the break. A damaged file is made again.
    """

    folder: Path | None = None
    meter: Meter = field(default_factory=Meter)
    entries: dict[str, Entry] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def once(self, name: str, depends: Mapping[str, Any], make: Callable[[], Any], *memories: AnswerCache) -> Any:
        """The outcome of this step: from the folder where it is there, else made now and kept, with what was learnt."""
        fingerprint = digest(name, str(to_jsonable({**depends, "versions": dict(versions())})))
        if fingerprint not in self.entries:
            self.entries[fingerprint] = (
                self._made(make) if self.folder is None else self._found(fingerprint, make, memories)
            )
        return self.entries[fingerprint].outcome

    def _found(self, fingerprint: str, make: Callable[[], Any], memories: Sequence[AnswerCache]) -> Entry:
        assert self.folder is not None
        place = self.folder / fingerprint[:2] / f"{fingerprint}.assay"
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place.with_suffix(".lock")):
            return self._read(place, memories) or self._kept(make, place, memories)

    def anew(self, name: str, make: Callable[[], Any]) -> Any:
        """The outcome of a step that is made every time, and counted like the others."""
        self.entries[name] = entry = self._made(make)
        return entry.outcome

    def total(self) -> dict[str, int]:
        """What all steps cost when they were made."""
        kinds = ("forwards asked", "forwards", "backwards")
        return {kind: sum(entry.cost[kind] for entry in self.entries.values()) for kind in kinds}

    def _made(self, make: Callable[[], Any]) -> Entry:
        meter, started = self.meter, time.monotonic()
        before = meter.asked, meter.forwards, meter.backwards
        outcome = make()
        cost = {
            "forwards asked": meter.asked - before[0],
            "forwards": meter.forwards - before[1],
            "backwards": meter.backwards - before[2],
        }
        return Entry(outcome, cost, time.monotonic() - started, fresh=True)

    def _kept(self, make: Callable[[], Any], place: Path, memories: Sequence[AnswerCache]) -> Entry:
        before = [memory.made for memory in memories]
        entry = self._made(make)
        answers = [memory.answers(since) for memory, since in zip(memories, before)]
        save(Bundle({"outcome": entry.outcome, "cost": entry.cost, "answers": answers}), place)
        return entry

    def _read(self, place: Path, memories: Sequence[AnswerCache]) -> Entry | None:
        if not place.is_file():
            return None
        started = time.monotonic()
        try:
            held = load(place).held
        except InputError:
            self.damaged.append(place.name)
            return None
        for memory, answers in zip(memories, held["answers"]):
            memory.learn(answers)
        return Entry(held["outcome"], held["cost"], time.monotonic() - started, fresh=False)
