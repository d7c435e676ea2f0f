# SPDX-License-Identifier: Apache-2.0
"""The findings as the page lists them: worst first, each with what lies behind it as far as there is room."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from assay.nouns.records.record import Record
from assay.nouns.results.result import Finding, Verdict
from assay.report.audit.evidence import evidence
from assay.report.audit.summary import worst_first
from assay.report.audit.waivers import Acceptance, acceptance
from assay.report.drawing.formatting import VERDICTS, counted, cut, figures_of, number
from assay.report.drawing.svg import strip

MOST = 100
"""Findings of one verdict that are listed."""

BUDGET = 250_000
"""Characters that all findings may take; beyond them a finding keeps its line and loses what lies behind it."""

LINE = 500
"""Characters of a finding's line besides its claim and its strip."""

CLAIM = 600
"""Characters of a claim that are shown."""


@dataclass(frozen=True)
class Shown:
    """One finding: its line, and what lies behind it (empty where there is nothing, or no room)."""

    finding: Finding
    claim: Markup
    strip: Markup
    figures: tuple[str, str, str]
    held: Acceptance | None
    more: str
    behind: Markup


@dataclass(frozen=True)
class Group:
    """The findings of one verdict; ``count`` of them, of which the worst are shown."""

    verdict: Verdict
    count: int
    shown: tuple[Shown, ...]


@dataclass(frozen=True)
class Listing:
    """All groups, worst first, and how many findings lost what lies behind them."""

    groups: tuple[Group, ...]
    bare: int


def listing(record: Record) -> Listing:
    """The findings of a record within their budget: lines first, then what lies behind the worst."""
    ordered = worst_first(record)
    lines: dict[Verdict, list[Finding]] = {v: [f for f in ordered if f.verdict == v] for v in VERDICTS}
    kept = [(finding, _line(record, finding)) for found in lines.values() for finding in found[:MOST]]
    left = BUDGET - sum(LINE + len(shown.claim) + len(shown.strip) for _, shown in kept)
    shown, bare = [], 0
    for finding, line in kept:
        drawn = behind(record, finding) if left > 0 else Markup("")
        room = left > 0 and len(drawn) <= left
        left = left - len(drawn) if room else 0  # the first that finds no room closes the door
        bare += not room and bool(finding.meaning or finding.advice or finding.evidence)
        shown.append(Shown(**{**vars(line), "behind": drawn if room else Markup("")}))
    groups = tuple(
        Group(verdict, len(found), tuple(s for s in shown if s.finding.verdict == verdict))
        for verdict, found in lines.items()
        if found
    )
    return Listing(groups, bare)


def _line(record: Record, finding: Finding) -> Shown:
    more = ""
    if finding.verdict == "undecided" and finding.more is not None:
        more = f"about {counted(finding.more, 'more row')} would decide it, if the estimate stays"
    claim = cut(finding.claim, CLAIM)
    return Shown(finding, claim, strip(finding), figures_of(finding), acceptance(record, finding), more, Markup(""))


def behind(record: Record, finding: Finding) -> Markup:
    """What a finding means, what to do, how its interval was made, and the evidence."""
    parts = []
    if finding.meaning:
        parts.append(Markup("<p>{}</p>").format(finding.meaning))
    if finding.advice:
        parts.append(Markup("<p><strong>What to do.</strong> {}</p>").format(finding.advice))
    interval = intervals(record, finding)
    if interval:
        parts.append(Markup('<p class="fine">{}</p>').format(interval))
    if finding.evidence:
        parts.append(evidence(finding.evidence))
    return Markup("\n").join(parts)


def intervals(record: Record, finding: Finding) -> str:
    """How the interval drawn was made, and what this check would have had by itself; empty where there is none."""
    drawn, alone = finding.interval, finding.alone
    if drawn is None or drawn.low != drawn.low:
        return ""
    first = f"Interval drawn: {_percent(drawn.level)}, {drawn.method}"
    if alone is None:
        return f"{first}."
    judged = record.cost.get("checks judged together", 0)
    why = f", the level its verdict needs among {counted(judged, 'check')} judged together" if judged else ""
    bounds = f"[{number(alone.low)}, {number(alone.high)}]"
    return f"{first}{why}. By itself it would have had {bounds} at {_percent(alone.level)}."


def _percent(level: float) -> str:
    return f"{100 * level:.4g} %"
