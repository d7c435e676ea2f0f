# SPDX-License-Identifier: Apache-2.0
"""The findings, worst first, each with as many details as the page has space for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding, Verdict
from assay.report.audit.evidence import evidence_parts
from assay.report.audit.summary import worst_first
from assay.report.audit.waivers import WaiverState, waiver_state
from assay.report.drawing.formatting import (
    VERDICTS,
    describe_rows_needed,
    finding_numbers,
    format_count,
    format_number,
    prose,
    shorten,
)
from assay.report.drawing.svg import draw_strip

MAX_FINDINGS = 100
"""Findings of one verdict that are listed."""

BUDGET = 140_000
"""Characters of all findings; a finding beyond it keeps its line and loses its details."""

LINE = 500
"""Characters of a finding's line without its claim and its strip."""

SHARED = 160
"""Characters from which a text or table that an earlier finding has printed is replaced by a link to that finding."""

MAX_CLAIM = 600
"""Characters of a claim that are printed."""


@dataclass(frozen=True)
class FindingView:
    """One finding: its line, and its details (empty where there are none, or no space for them)."""

    anchor: str
    finding: Finding
    claim: Markup
    strip: Markup
    numbers: tuple[str, str, str]
    waiver: WaiverState | None
    more: str
    details: Markup


@dataclass(frozen=True)
class FindingGroup:
    """The findings of one verdict: their number, and the views of the worst of them."""

    verdict: Verdict
    count: int
    views: tuple[FindingView, ...]


@dataclass(frozen=True)
class FindingList:
    """All groups, worst first, the number of findings without their details, and the characters of the details."""

    groups: tuple[FindingGroup, ...]
    shortened: int
    size: int = 0


def list_findings(record: Record, budget: int = BUDGET) -> FindingList:
    """The findings of a record within the budget: first all lines, then the details of the worst.

    What several findings have in common (the meaning of a check, the rates of all groups) is printed once.
    """
    ordered = worst_first(record)
    found: dict[Verdict, list[Finding]] = {v: [f for f in ordered if f.verdict == v] for v in VERDICTS}
    listed = [finding for group in found.values() for finding in group[:MAX_FINDINGS]]
    lines = [_line(record, finding, f"f{place}") for place, finding in enumerate(listed, 1)]
    left = budget - line_size(lines)
    views, shortened = [], 0
    printed: dict[tuple[str, Markup], FindingView] = {}
    for line in lines:
        finding = line.finding
        parts = _detail_parts(record, finding) if left > 0 else []
        details = Markup("\n").join(
            _link(name, printed[name, part]) if (name, part) in printed else part for name, part in parts
        )
        fits = left > 0 and len(details) <= left
        left = left - len(details) if fits else 0  # after the first that does not fit, none has details
        shortened += not fits and bool(finding.meaning or finding.advice or finding.evidence)
        if fits:
            printed |= {p: line for p in parts if p[0] and len(p[1]) >= SHARED and p not in printed}
        views.append(replace(line, details=details if fits else Markup("")))
    groups = tuple(
        FindingGroup(verdict, len(group), tuple(view for view in views if view.finding.verdict == verdict))
        for verdict, group in found.items()
        if group
    )
    return FindingList(groups, shortened, sum(len(view.details) for view in views))


def line_size(lines: Sequence[FindingView]) -> int:
    """Characters of the lines of findings without their details, about."""
    return sum(LINE + len(line.claim) + len(line.strip) for line in lines)


def _link(name: str, view: FindingView) -> Markup:
    """Where a text or table stands that is the same for this finding."""
    where = Markup('<p class="fine">{}: the same as for <a href="#{}">{} {}</a>.</p>')
    return where.format(name[:1].upper() + name[1:], view.anchor, view.finding.code, shorten(view.finding.subject))


def _line(record: Record, finding: Finding, anchor: str) -> FindingView:
    needed = describe_rows_needed(finding)
    more = f"{needed[:1].upper()}{needed[1:]}{' in four of five samples' * needed.endswith('it')}." if needed else ""
    claim, waiver = prose(finding.claim, MAX_CLAIM), waiver_state(record, finding)
    return FindingView(anchor, finding, claim, draw_strip(finding), finding_numbers(finding), waiver, more, Markup(""))


def finding_details(record: Record, finding: Finding) -> Markup:
    """The question of the check, what the finding means, what to do, the method of its interval, and the evidence."""
    return Markup("\n").join(part for _, part in _detail_parts(record, finding))


def _detail_parts(record: Record, finding: Finding) -> list[tuple[str, Markup]]:
    """The details with a name each where other findings may have the same."""
    parts: list[tuple[str, Markup]] = []
    question = next((check.question for check in record.checks if check.code == finding.code), "")
    if question:
        parts.append(("", Markup("<p><strong>{}</strong></p>").format(question)))
    if finding.meaning:
        parts.append(("meaning", Markup("<p>{}</p>").format(finding.meaning)))
    if finding.advice:
        parts.append(("what to do", Markup("<p><strong>What to do.</strong> {}</p>").format(finding.advice)))
    interval = describe_interval(record, finding)
    if interval:
        parts.append(("", Markup('<p class="fine">{}</p>').format(interval)))
    return [*parts, *evidence_parts(finding.evidence)]


def describe_interval(record: Record, finding: Finding) -> str:
    """Level and method of the interval, and the interval without correction for multiple testing; may be empty."""
    drawn, uncorrected = finding.interval, finding.alone
    if drawn is None or drawn.low != drawn.low:
        return ""
    text = f"Interval: {_percent(drawn.level)}, {_method_name(drawn.method)}"
    if uncorrected is None:
        return f"{text}."
    corrected = record.cost.get("checks judged together", 0)
    why = f" (Holm correction over {format_count(corrected, 'check')})" if corrected else ""
    bounds = f"[{format_number(uncorrected.low)}, {format_number(uncorrected.high)}]"
    return f"{text}{why}. Without correction: {bounds} at {_percent(uncorrected.level)}."


AUTHORS = {
    "student": "Student",
    "fieller": "Fieller",
    "clopper-pearson": "Clopper–Pearson",
    "newcombe-auc": "Newcombe for an AUC",
    "newcombe": "Newcombe",
    "welch": "Welch",
}
"""Interval methods named after their authors, as text."""


def _method_name(method: str) -> str:
    """The name of an interval method as text: authors capitalised, and how many intervals hold simultaneously."""
    for name, author in AUTHORS.items():
        method = re.sub(rf"\b{name}\b", author, method)
    method = re.sub(r"^bounded Student", "Student, limited to the possible values", method)
    counted = re.fullmatch(r"(.*), (\d+) (column|pair|feature)(?:\(s\)|s)", method)
    if counted is None:
        return method
    name, count, noun = counted.groups()
    return name if count == "1" else f"{name}, simultaneous over {count} {noun}s"


def _percent(level: float) -> str:
    return f"{100 * level:.4g} %"
