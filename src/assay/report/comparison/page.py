# SPDX-License-Identifier: Apache-2.0
"""From a comparison of two audits to one HTML page in the look of the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from assay.nouns.comparisons.audit_comparison import Change, Comparison, Course, Drift
from assay.nouns.results.result import Finding, Verdict
from assay.report.audit.page import UNSEEN, environment
from assay.report.comparison.summary import COURSES, Way, counts, headline, moved, tone
from assay.report.drawing.formatting import counted, figures_of, number, places, signed
from assay.report.drawing.svg import likeness, strip

MANY = 300
"""Checks of one course that are listed; a page of all of a thousand columns' checks would be too long to read."""

DRAWN: dict[str, Verdict] = {"fail": "fail", "pass": "pass"}
"""The verdict in whose colour a change is drawn."""


def compared(comparison: Comparison) -> str:
    """The page of a comparison: one file that needs nothing outside itself and runs no script."""
    page = (
        environment()
        .get_template("comparison.html")
        .render(
            comparison=comparison,
            title=f"{comparison.before} → {comparison.after}",
            audits=[("before", *named(comparison.before)), ("after", *named(comparison.after))],
            headline=headline(comparison),
            tone=tone(comparison),
            counts=counts(comparison),
            moved=moved(comparison),
            groups=_groups(comparison),
            drifts=_methods(comparison.drifts),
            share=number(100 * comparison.level),
        )
    )
    return page.translate(UNSEEN)


def named(audit: str) -> tuple[str, str]:
    """An audit's title and the mark of its model."""
    title, _, fingerprint = audit.rpartition(", ")
    return (title, fingerprint) if title else (audit, "")


@dataclass(frozen=True)
class Side:
    """A check in one of the two audits."""

    finding: Finding
    strip: Markup
    figures: tuple[str, str, str]


@dataclass(frozen=True)
class Line:
    """A check: before, after, and the change, each where there is one."""

    change: Change
    before: Side | None
    after: Side | None
    strip: Markup
    figure: str
    bounds: str
    told: str


@dataclass(frozen=True)
class Group:
    """Checks of one course; ``count`` counts also those beyond the first few."""

    course: Course
    way: Way
    count: int
    lines: tuple[Line, ...]


def _groups(comparison: Comparison) -> list[Group]:
    found = [(course, way, comparison.of(course)) for course, way in COURSES.items()]
    return [
        Group(course, way, len(changes), tuple(map(_line, changes[:MANY]))) for course, way, changes in found if changes
    ]


def _line(change: Change) -> Line:
    before, after = change.before, change.after
    drawn, figure, bounds = _difference(change)
    return Line(
        change=change,
        before=None if before is None else Side(before, strip(before, after), figures_of(before)),
        after=None if after is None else Side(after, strip(after, before), figures_of(after)),
        strip=drawn,
        figure=figure,
        bounds=bounds,
        told=how(change),
    )


def _difference(change: Change) -> tuple[Markup, str, str]:
    """The change as a strip around 0, and in numbers."""
    finding = change.after or change.before
    if change.before is None or change.after is None or finding is None:
        return Markup(""), "", ""
    drawn = replace(
        finding,
        verdict=DRAWN.get(COURSES[change.course].tone, "informative"),
        estimate=change.change,
        interval=change.interval,
        threshold=0.0,
        direction="",
        null=None,
    )
    return strip(drawn), *change_told(change)


def change_told(change: Change) -> tuple[str, str]:
    """The change with its sign, and its interval; empty where only one audit has the check."""
    if change.before is None or change.after is None:
        return "", ""
    interval = change.interval
    low, high = (interval.low, interval.high) if interval is not None else (math.nan, math.nan)
    decimals = places(change.change, low, high)
    known = not (math.isnan(low) or math.isnan(high))
    bounds = f"[{signed(low, decimals)}, {signed(high, decimals)}]" if known else ""
    return signed(change.change, decimals) if math.isfinite(change.change) else number(change.change), bounds


def how(change: Change) -> str:
    """Whether the same rows were compared one by one, and how many."""
    if change.course == "gone":
        return "only before"
    if change.course == "new":
        return "only after"
    if change.paired:
        return f"paired on {counted(change.rows, 'row')}"
    return "not paired" if change.interval is not None else "not paired, no interval"


@dataclass(frozen=True)
class Likeness:
    """One measure of one method, drawn and told."""

    drift: Drift
    figure: Markup
    mean: str
    bounds: str
    band: str


def _methods(drifts: Sequence[Drift]) -> list[tuple[str, list[Likeness]]]:
    """Measures by method, methods that drifted first."""
    found: dict[str, list[Likeness]] = {}
    for drift in drifts:
        found.setdefault(drift.method, []).append(_likeness(drift))
    return sorted(found.items(), key=lambda item: not any(likeness.drift.drifted for likeness in item[1]))


def _likeness(drift: Drift) -> Likeness:
    return Likeness(drift, likeness(drift), *drift_told(drift))


def drift_told(drift: Drift) -> tuple[str, str, str]:
    """Mean, interval and band of re-running, with decimals in common."""
    interval = drift.interval
    decimals = places(drift.mean, interval.low, interval.high, *drift.band)
    told = [_span(low, high, decimals) for low, high in ((interval.low, interval.high), drift.band)]
    return number(drift.mean, decimals), told[0], told[1]


def _span(low: float, high: float, decimals: int | None) -> str:
    if math.isnan(low) or math.isnan(high):
        return "unknown"
    return f"[{number(low, decimals)}, {number(high, decimals)}]"
