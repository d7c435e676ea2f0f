# SPDX-License-Identifier: Apache-2.0
"""The page of a comparison of two audits: one HTML file that loads nothing and runs no script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from assay.nouns.comparisons.audit_comparison import Change, ChangeStatus, Comparison, Drift
from assay.nouns.results.finding import Finding, Verdict
from assay.report.audit.page import UNSEEN, environment
from assay.report.comparison.summary import STATUSES, StatusStyle, changed_predictions, counts, headline, tone
from assay.report.drawing.formatting import decimals_for, finding_numbers, format_count, format_number, format_signed
from assay.report.drawing.svg import draw_similarity, draw_strip

MAX_CHECKS = 300
"""Checks of one kind of change that are listed, to limit the size of the page."""

STRIP_VERDICTS: dict[str, Verdict] = {"fail": "fail", "pass": "pass"}
"""The verdict in whose colour a change is drawn, by tone."""


def render_comparison(comparison: Comparison) -> str:
    """The page of a comparison."""
    page = (
        environment()
        .get_template("comparison.html")
        .render(
            comparison=comparison,
            title=f"{comparison.before} → {comparison.after}",
            audits=[("before", *split_name(comparison.before)), ("after", *split_name(comparison.after))],
            headline=headline(comparison),
            tone=tone(comparison),
            counts=counts(comparison),
            changed_predictions=changed_predictions(comparison),
            groups=_groups(comparison),
            drifts=_drifts_by_method(comparison.drifts),
            level=format_number(100 * comparison.level),
        )
    )
    return page.translate(UNSEEN)


def split_name(audit: str) -> tuple[str, str]:
    """An audit's title and the fingerprint of its model."""
    title, _, fingerprint = audit.rpartition(", ")
    return (title, fingerprint) if title else (audit, "")


@dataclass(frozen=True)
class Side:
    """A check in one of the two audits."""

    finding: Finding
    strip: Markup
    numbers: tuple[str, str, str]


@dataclass(frozen=True)
class Line:
    """A check: before, after, and the change, each where it exists."""

    change: Change
    before: Side | None
    after: Side | None
    strip: Markup
    estimate: str
    bounds: str
    pairing: str


@dataclass(frozen=True)
class Group:
    """Checks with the same kind of change; ``count`` includes those that are not listed."""

    status: ChangeStatus
    style: StatusStyle
    count: int
    lines: tuple[Line, ...]


def _groups(comparison: Comparison) -> list[Group]:
    found = [(status, style, comparison.of(status)) for status, style in STATUSES.items()]
    return [
        Group(status, style, len(changes), tuple(map(_line, changes[:MAX_CHECKS])))
        for status, style, changes in found
        if changes
    ]


def _line(change: Change) -> Line:
    before, after = change.before, change.after
    strip, estimate, bounds = _difference(change)
    return Line(
        change=change,
        before=None if before is None else Side(before, draw_strip(before, after), finding_numbers(before)),
        after=None if after is None else Side(after, draw_strip(after, before), finding_numbers(after)),
        strip=strip,
        estimate=estimate,
        bounds=bounds,
        pairing=describe_pairing(change),
    )


def _difference(change: Change) -> tuple[Markup, str, str]:
    """The change as a strip around 0, its estimate and its interval."""
    finding = change.after or change.before
    if change.before is None or change.after is None or finding is None:
        return Markup(""), "", ""
    difference = replace(
        finding,
        verdict=STRIP_VERDICTS.get(STATUSES[change.status].tone, "informative"),
        estimate=change.change,
        interval=change.interval,
        threshold=0.0,
        direction="",
        null=None,
    )
    return draw_strip(difference), *change_numbers(change)


def change_numbers(change: Change) -> tuple[str, str]:
    """The change with its sign, and its interval; empty where only one audit has the check."""
    if change.before is None or change.after is None:
        return "", ""
    interval = change.interval
    low, high = (interval.low, interval.high) if interval is not None else (math.nan, math.nan)
    decimals = decimals_for(change.change, low, high)
    is_known = not (math.isnan(low) or math.isnan(high))
    bounds = f"[{format_signed(low, decimals)}, {format_signed(high, decimals)}]" if is_known else ""
    is_finite = math.isfinite(change.change)
    return format_signed(change.change, decimals) if is_finite else format_number(change.change), bounds


def describe_pairing(change: Change) -> str:
    """Whether the same rows were compared one by one, and how many."""
    if change.status == "gone":
        return "only before"
    if change.status == "new":
        return "only after"
    if change.paired:
        return f"paired on {format_count(change.rows, 'row')}"
    return "not paired" if change.interval is not None else "not paired, no interval"


@dataclass(frozen=True)
class Similarity:
    """One similarity measure of one method, as drawing and as numbers."""

    drift: Drift
    figure: Markup
    mean: str
    bounds: str
    band: str


def _drifts_by_method(drifts: Sequence[Drift]) -> list[tuple[str, list[Similarity]]]:
    """Similarities by method, methods that drifted first."""
    found: dict[str, list[Similarity]] = {}
    for drift in drifts:
        found.setdefault(drift.method, []).append(Similarity(drift, draw_similarity(drift), *drift_numbers(drift)))
    return sorted(found.items(), key=lambda item: not any(similarity.drift.drifted for similarity in item[1]))


def drift_numbers(drift: Drift) -> tuple[str, str, str]:
    """Mean, interval and range under re-running, with the same number of decimals."""
    interval = drift.interval
    decimals = decimals_for(drift.mean, interval.low, interval.high, *drift.band)
    ranges = [_range(low, high, decimals) for low, high in ((interval.low, interval.high), drift.band)]
    return format_number(drift.mean, decimals), ranges[0], ranges[1]


def _range(low: float, high: float, decimals: int | None) -> str:
    if math.isnan(low) or math.isnan(high):
        return "unknown"
    return f"[{format_number(low, decimals)}, {format_number(high, decimals)}]"
