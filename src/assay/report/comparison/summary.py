# SPDX-License-Identifier: Apache-2.0
"""A comparison in plain words: one sentence, and what became of the checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.nouns.comparisons.audit_comparison import Change, Comparison, Course
from assay.report.audit.summary import Count
from assay.report.drawing.formatting import counted, cut_off, listed, number


@dataclass(frozen=True)
class Way:
    """How a course is told: its icon, and the tone of its strip and chip (CSS classes)."""

    icon: str
    tone: str


COURSES: dict[Course, Way] = {
    "newly failing": Way("fail", "fail"),
    "worse": Way("worse", "fail"),
    "gone": Way("skipped", "skipped"),
    "new": Way("told", "told"),
    "no change shown": Way("skipped", "skipped"),
    "better": Way("better", "pass"),
    "mended": Way("pass", "pass"),
}
"""Every course, worst first."""

NAMED = 4
"""Methods that the sentence names one by one."""


def headline(comparison: Comparison) -> str:
    """One sentence: what is worse, what is better, and whose explanations drifted."""
    parts = [part for part in (_worse(comparison), _better(comparison), _drifted(comparison)) if part]
    said = "; ".join(parts)
    return f"{said[:1].upper()}{said[1:]}."


def tone(comparison: Comparison) -> str:
    """The worst of it as the colour of the verdict."""
    if comparison.worse:
        return "fail"
    if drifted(comparison) or not comparison.drifts:
        return "undecided"
    return "pass"


def counts(comparison: Comparison) -> tuple[Count, ...]:
    """How many checks took each course; those that none took are left out, but for the first and the last."""
    found = {course: len(comparison.of(course)) for course in COURSES}
    always = ("newly failing", "no change shown", "mended")
    return tuple(
        Count(COURSES[course].icon, count, course) for course, count in found.items() if count or course in always
    )


def drifted(comparison: Comparison) -> list[str]:
    """Methods that any measure shows to have drifted."""
    return list(dict.fromkeys(drift.method for drift in comparison.drifts if drift.drifted))


def moved(comparison: Comparison) -> str:
    """On how many rows another class is predicted; empty where no row or no class is shared."""
    interval = comparison.moved
    if interval is None or not comparison.rows:
        return ""
    share = f"{number(100 * interval.low, 1)} to {number(100 * interval.high, 1)} % of such rows"
    rows = counted(comparison.rows, "row")
    return f"Another class is predicted on {comparison.moved_rows:,} of {rows} that both audits explained ({share})."


def _worse(comparison: Comparison) -> str:
    lost = [change for change in comparison.of("gone") if decided(change)]
    told = [
        _told(comparison.of("newly failing"), "newly failing", "check"),
        _told(comparison.of("worse"), "shown to be worse"),
        _told(lost, "gone although decided before"),
    ]
    return "; ".join(filter(None, told)) or "no check is newly failing or shown to be worse"


def decided(change: Change) -> bool:
    """Whether the check had passed or failed before."""
    return change.before is not None and change.before.verdict in ("pass", "fail")


def _better(comparison: Comparison) -> str:
    told = [_told(comparison.of("mended"), "mended"), _told(comparison.of("better"), "shown to be better")]
    return "; ".join(filter(None, told))


def _told(changes: Sequence[Change], word: str, noun: str = "") -> str:
    """2 checks are newly failing; empty where there is none."""
    if not changes:
        return ""
    count = counted(len(changes), noun) if noun else f"{len(changes):,}"
    return f"{count} {'is' if len(changes) == 1 else 'are'} {word}"


def _drifted(comparison: Comparison) -> str:
    if not comparison.drifts:
        return "whether explanations drifted cannot be told"
    names = [cut_off(name.replace("_", " ")) for name in drifted(comparison)]
    if not names:
        return "no explanation drifted beyond the noise of re-running"
    more = len(names) - NAMED
    shown = [*names[:NAMED], *([f"{more} more"] if more > 0 else [])]
    return f"explanations by {listed(shown)} drifted beyond the noise of re-running"
