# SPDX-License-Identifier: Apache-2.0
"""What differs between two audits, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assay.basics.stats import Interval
from assay.nouns.results.result import Finding

Course = Literal["newly failing", "worse", "no change shown", "better", "mended", "new", "gone"]
"""What became of a check, worst first but for "new" and "gone", which only one audit has."""


@dataclass(frozen=True)
class Change:
    """One check before and after. ``change`` is after − before with its ``interval``; ``paired`` says row by row."""

    code: str
    subject: str
    course: Course
    before: Finding | None
    after: Finding | None
    change: float
    interval: Interval | None
    paired: bool
    rows: int


@dataclass(frozen=True)
class Drift:
    """How alike one method explains the same rows in both audits, and how alike it would if nothing had changed.

    ``measure`` is over rows explained for the same class, −1 … 1 or 0 … 1, 1 is equal. ``band`` is where the mean lies
    when the same explanation is made again with other draws (1 … 1 where nothing is drawn); ``drifted`` when the whole
    ``interval`` of the mean lies below it. ``changed`` counts rows left out because another class is explained.
    """

    method: str
    measure: str
    mean: float
    interval: Interval
    band: tuple[float, float]
    drifted: bool
    rows: int
    changed: int


@dataclass(frozen=True)
class Comparison:
    """Two audits beside each other. ``level`` holds for all intervals of change together (Bonferroni)."""

    before: str
    after: str
    changes: tuple[Change, ...]
    drifts: tuple[Drift, ...]
    moved: Interval | None
    moved_rows: int
    rows: int
    level: float
    notes: tuple[str, ...]

    def of(self, *courses: Course) -> tuple[Change, ...]:
        """The checks that took one of these courses."""
        return tuple(change for change in self.changes if change.course in courses)

    @property
    def worse(self) -> bool:
        """Whether a check is newly failing or shown to be worse, or one that was decided is gone."""
        lost = [c for c in self.of("gone") if c.before is not None and c.before.verdict in ("pass", "fail")]
        return bool(self.of("newly failing", "worse")) or bool(lost)

    def __repr__(self) -> str:
        counts = {c.course: 0 for c in self.changes}
        for change in self.changes:
            counts[change.course] += 1
        told = ", ".join(f"{count} {course}" for course, count in sorted(counts.items()))
        lines = [
            f"  {c.course}: {c.code} {c.subject} {c.change:+.3g}" for c in self.of("newly failing", "worse", "mended")
        ]
        moved = [f"  {d.method} drifted: {d.measure} {d.mean:.2f}" for d in self.drifts if d.drifted]
        return "\n".join([f"Comparison({self.before} → {self.after}: {told})", *lines, *moved])
