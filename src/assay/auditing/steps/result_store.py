# SPDX-License-Identifier: Apache-2.0
"""Outcomes of the steps of an audit, by the fingerprint of everything they depend on; a killed audit resumes here."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.cases.answer_cache import AnswerCache
from assay.cases.explanation_cache import ExplanationCache
from assay.engine.provenance import versions
from assay.model.model import Meter
from assay.nouns.records.jsonable import to_jsonable
from assay.nouns.records.store import Bundle, load, save

Cache = AnswerCache | ExplanationCache
"""What a case has cached."""


COST_KINDS = ("model evaluations requested", "model evaluations", "gradient evaluations")
"""What is counted: rows requested, rows through the model (the others were cached), and rows backwards."""


@functools.cache
def package_digest() -> str:
    """A digest of the package's source, so that a changed method finds no outcome of its earlier form."""
    root = Path(__file__).parents[2]
    files = sorted(root.rglob("*.py"))
    return digest(*(part for file in files for part in (file.relative_to(root).as_posix(), file.read_bytes())))


@dataclass(frozen=True)
class Entry:
    """A step's outcome, and its cost when it was computed: rows requested, forward passes, backward passes."""

    outcome: Any
    cost: Mapping[str, int]
    seconds: float
    fresh: bool


@dataclass
class ResultStore:
    """Outcomes of steps in a folder, one file each, written whole or not at all and never changed; or in memory.

    A file's name is a fingerprint of all that its content depends on, so audits may share a folder: they find each
    other's outcomes and cannot change them. A lock makes the second of two audits wait for the first. What the caches
    of the case gained in the step is stored with it, so that a resumed audit evaluates the model exactly as often as
    an audit without the break. A damaged file is computed again.
    """

    folder: Path | None = None
    meter: Meter = field(default_factory=Meter)
    entries: dict[str, Entry] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def once(self, name: str, depends: Mapping[str, Any], make: Callable[[], Any], *caches: Cache) -> Any:
        """The outcome of this step: from the folder where it is there, else computed and stored with its caches."""
        made_by = {"versions": dict(versions()), "source": package_digest()}
        fingerprint = digest(name, str(to_jsonable({**depends, **made_by})))
        if fingerprint not in self.entries:
            self.entries[fingerprint] = (
                self._compute(make) if self.folder is None else self._find(fingerprint, make, caches)
            )
        return self.entries[fingerprint].outcome

    def uncached(self, name: str, make: Callable[[], Any]) -> Any:
        """The outcome of a step that is computed every time, and counted like the others."""
        self.entries[name] = entry = self._compute(make)
        return entry.outcome

    def total(self) -> dict[str, int]:
        """The cost of all steps when they were computed."""
        return {kind: sum(entry.cost[kind] for entry in self.entries.values()) for kind in COST_KINDS}

    def _find(self, fingerprint: str, make: Callable[[], Any], caches: Sequence[Cache]) -> Entry:
        assert self.folder is not None
        path = self.folder / fingerprint[:2] / f"{fingerprint}.assay"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            return self._read(path, caches) or self._store(make, path, caches)

    def _compute(self, make: Callable[[], Any]) -> Entry:
        meter, started = self.meter, time.monotonic()
        before = meter.requested, meter.forwards, meter.backwards
        outcome = make()
        cost = {
            kind: count - earlier
            for kind, count, earlier in zip(COST_KINDS, (meter.requested, meter.forwards, meter.backwards), before)
        }
        return Entry(outcome, cost, time.monotonic() - started, fresh=True)

    def _store(self, make: Callable[[], Any], path: Path, caches: Sequence[Cache]) -> Entry:
        before = [cache.stored_count for cache in caches]
        entry = self._compute(make)
        answers = [cache.export_entries(since) for cache, since in zip(caches, before)]
        save(Bundle({"outcome": entry.outcome, "cost": entry.cost, "answers": answers}), path)
        return entry

    def _read(self, path: Path, caches: Sequence[Cache]) -> Entry | None:
        if not path.is_file():
            return None
        started = time.monotonic()
        try:
            stored = load(path).contents
        except InputError:
            self.damaged.append(path.name)
            return None
        for cache, answers in zip(caches, stored["answers"]):
            cache.import_entries(answers)
        return Entry(stored["outcome"], stored["cost"], time.monotonic() - started, fresh=False)
