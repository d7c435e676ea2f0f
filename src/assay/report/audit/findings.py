# SPDX-License-Identifier: Apache-2.0
"""The findings, worst first, each with as many details as the page has space for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from markupsafe import Markup

from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding, Verdict
from assay.report.audit.evidence import evidence_tables
from assay.report.audit.summary import worst_first
from assay.report.audit.waivers import WaiverState, waiver_state
from assay.report.drawing.formatting import VERDICTS, finding_numbers, format_count, format_number, shorten
from assay.report.drawing.svg import draw_strip

MAX_FINDINGS = 100
"""Findings of one verdict that are listed."""

BUDGET = 100_000
"""Characters of all findings; a finding beyond it keeps its line and loses its details."""

LINE = 500
"""Characters of a finding's line without its claim and its strip."""

MAX_CLAIM = 600
"""Characters of a claim that are printed."""


@dataclass(frozen=True)
class FindingView:
    """One finding: its line, and its details (empty where there are none, or no space for them)."""

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
    """All groups, worst first, and the number of findings without their details."""

    groups: tuple[FindingGroup, ...]
    shortened: int


def list_findings(record: Record) -> FindingList:
    """The findings of a record within the budget: first all lines, then the details of the worst."""
    ordered = worst_first(record)
    found: dict[Verdict, list[Finding]] = {v: [f for f in ordered if f.verdict == v] for v in VERDICTS}
    lines = [_line(record, finding) for group in found.values() for finding in group[:MAX_FINDINGS]]
    left = BUDGET - sum(LINE + len(line.claim) + len(line.strip) for line in lines)
    views, shortened = [], 0
    for line in lines:
        finding = line.finding
        details = finding_details(record, finding) if left > 0 else Markup("")
        fits = left > 0 and len(details) <= left
        left = left - len(details) if fits else 0  # after the first that does not fit, none has details
        shortened += not fits and bool(finding.meaning or finding.advice or finding.evidence)
        views.append(replace(line, details=details if fits else Markup("")))
    groups = tuple(
        FindingGroup(verdict, len(group), tuple(view for view in views if view.finding.verdict == verdict))
        for verdict, group in found.items()
        if group
    )
    return FindingList(groups, shortened)


def _line(record: Record, finding: Finding) -> FindingView:
    more = ""
    if finding.verdict == "undecided" and finding.more is not None:
        more = f"About {format_count(finding.more, 'more row')} would decide it in four of five samples."
    claim, waiver = shorten(finding.claim, MAX_CLAIM), waiver_state(record, finding)
    return FindingView(finding, claim, draw_strip(finding), finding_numbers(finding), waiver, more, Markup(""))


def finding_details(record: Record, finding: Finding) -> Markup:
    """The question of the check, what the finding means, what to do, the method of its interval, and the evidence."""
    parts = []
    question = next((check.question for check in record.checks if check.code == finding.code), "")
    if question:
        parts.append(Markup("<p><strong>{}</strong></p>").format(question))
    if finding.meaning:
        parts.append(Markup("<p>{}</p>").format(finding.meaning))
    if finding.advice:
        parts.append(Markup("<p><strong>What to do.</strong> {}</p>").format(finding.advice))
    interval = describe_interval(record, finding)
    if interval:
        parts.append(Markup('<p class="fine">{}</p>').format(interval))
    if finding.evidence:
        parts.append(evidence_tables(finding.evidence))
    return Markup("\n").join(parts)


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
