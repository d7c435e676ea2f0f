# SPDX-License-Identifier: Apache-2.0
"""The findings by fault class, worst first, each with as many details as the page has space for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from markupsafe import Markup

from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding, Verdict
from assay.report.audit.summary import worst_first
from assay.report.drawing.formatting import (
    ADVICE,
    VERDICTS,
    describe_rows_needed,
    finding_numbers,
    format_count,
    format_number,
    join_names,
    method_name,
    prose,
    shorten,
    truncate,
)
from assay.report.drawing.svg import draw_strip
from assay.report.findings.evidence import evidence_parts, evidence_pictures
from assay.report.findings.fault_classes import fault_class
from assay.report.findings.repairs import RepairedFinding, repaired_findings
from assay.report.findings.waivers import WaiverState, waiver_state

MAX_FINDINGS = 100
"""Findings of one verdict that are listed."""

OPEN: tuple[Verdict, ...] = ("error", "fail")
"""Verdicts whose findings are unfolded when the page is opened."""

MAX_SHOWN = 15
"""Failed checks that are shown; the others, and those of other verdicts, are listed where the reader opens them."""

MAX_OTHERS = 20
"""Further subjects of one check that are listed with it."""

BUDGET = 140_000
"""Characters of all findings; a finding beyond it keeps its line and loses its details."""

PICTURES, OF_A_FINDING = 36_000, 12_000
"""Characters of the pictures of all findings, and of those of one."""

LINE = 500
"""Characters of a finding's line without its claim and its strip."""

SHARED = 160
"""Characters from which a text or table that an earlier finding has printed is replaced by a link to that finding."""

MAX_CLAIM = 600
"""Characters of a claim that are printed."""


@dataclass(frozen=True)
class FindingView:
    """One finding: its line, and its details (empty where there are none, or no space for them).

    ``others`` are findings of the same check about other subjects, the worst first; ``left`` is how many more there
    are.
    """

    anchor: str
    finding: Finding
    claim: Markup
    strip: Markup
    numbers: tuple[str, str, str]
    waiver: WaiverState | None
    more: str
    details: Markup
    others: tuple[FindingView, ...] = ()
    left: int = 0


@dataclass(frozen=True)
class FindingPart:
    """The findings of one fault class and verdict: their number, and the views of the worst, one for each check.

    ``shown`` are open to be read where the class is unfolded, ``hidden`` until they are opened.
    """

    verdict: Verdict
    count: int
    shown: tuple[FindingView, ...]
    hidden: tuple[FindingView, ...]

    @property
    def views(self) -> tuple[FindingView, ...]:
        """All of them."""
        return (*self.shown, *self.hidden)

    @property
    def listed(self) -> int:
        """How many findings the views are about."""
        return sum(1 + len(view.others) + view.left for view in self.views)


@dataclass(frozen=True)
class FindingGroup:
    """One fault class: its name, its findings by verdict with the worst first, and the repairs tried on them.

    ``changes`` are the findings that a repair was to answer, before and after it.
    """

    name: str
    parts: tuple[FindingPart, ...]
    changes: tuple[RepairedFinding, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst verdict."""
        return self.parts[0].verdict

    @property
    def views(self) -> tuple[FindingView, ...]:
        """The views of all verdicts."""
        return tuple(view for part in self.parts for view in part.views)


@dataclass(frozen=True)
class FindingList:
    """All classes, worst first, the number of findings without their details, and the characters of the details."""

    groups: tuple[FindingGroup, ...]
    shortened: int
    size: int = 0


def list_findings(record: Record, budget: int = BUDGET) -> FindingList:
    """The findings of a record within the budget: first all lines, then the details of the worst.

    What several findings have in common (the meaning of a check, the rates of all groups) is printed once. At most
    ``MAX_SHOWN`` failed checks of all classes together are shown unopened.
    """
    ordered = worst_first(record)
    found: dict[Verdict, list[Finding]] = {v: [f for f in ordered if f.verdict == v] for v in VERDICTS}
    listed = [same for group in found.values() for same in _by_check(group[:MAX_FINDINGS])]
    lines = [_merged(record, same, f"f{place}") for place, same in enumerate(listed, 1)]
    printed = _Printed(record, budget - line_size(lines))
    views = [printed.with_details(line) for line in lines]
    views = [replace(view, others=tuple(map(printed.with_details, view.others))) for view in views]
    every = [one for view in views for one in (view, *view.others)]
    return FindingList(_by_class(record, found, views), printed.shortened, sum(len(view.details) for view in every))


def _by_class(
    record: Record, found: Mapping[Verdict, Sequence[Finding]], views: Sequence[FindingView]
) -> tuple[FindingGroup, ...]:
    """The views by fault class; the class of the worst view comes first."""
    first = {view.anchor for view in views[:MAX_SHOWN]}
    groups, repaired = [], repaired_findings(record)
    for name in dict.fromkeys(fault_class(view.finding.code) for view in views):
        parts = []
        for verdict, findings in found.items():
            own = [v for v in views if v.finding.verdict == verdict and fault_class(v.finding.code) == name]
            shown = [v for v in own if verdict not in OPEN or v.anchor in first][:MAX_SHOWN]
            hidden = [view for view in own if view not in shown]
            count = sum(fault_class(finding.code) == name for finding in findings)
            parts += [FindingPart(verdict, count, tuple(shown), tuple(hidden))] * bool(own)
        changes = [one for one in repaired if fault_class(one.before.code) == name]
        groups.append(FindingGroup(name, tuple(parts), tuple(changes)))
    return tuple(groups)


@dataclass
class _Printed:
    """The characters that are left for details, and the texts and tables that were printed before."""

    record: Record
    left: int
    shortened: int = 0
    pictures: int = PICTURES
    parts: dict[tuple[str, Markup], FindingView] = field(default_factory=dict)

    def with_details(self, line: FindingView) -> FindingView:
        """The view with its details where they fit; after the first that does not fit, none has any."""
        finding = line.finding
        own, details = self._details(finding, min(self.pictures, OF_A_FINDING))
        if len(details) > self.left and finding.pictures:
            own, details = self._details(finding, 0)
        fits = self.left > 0 and len(details) <= self.left
        self.left = self.left - len(details) if fits else 0
        self.shortened += not fits and bool(finding.meaning or finding.advice or finding.evidence)
        if fits:
            new = [(name, part) for name, part in own if (name, part) not in self.parts]
            self.pictures -= sum(len(part) for name, part in new if name == "pictures")
            self.parts |= {p: line for p in own if p[0] and len(p[1]) >= SHARED and p not in self.parts}
        return replace(line, details=details if fits else Markup(""))

    def _details(self, finding: Finding, pictures: int) -> tuple[list[tuple[str, Markup]], Markup]:
        """The parts of the details, and these with links to what was printed before; nothing where no space is left."""
        own = _detail_parts(self.record, finding, pictures) if self.left > 0 else []
        known = self.parts
        links = (_link(name, known[name, part]) if (name, part) in known else part for name, part in own)
        return own, Markup("\n").join(links)


def _by_check(findings: Sequence[Finding]) -> list[list[Finding]]:
    """The findings of one verdict by code, in the order of the worst of each code."""
    codes = dict.fromkeys(finding.code for finding in findings)
    return [[finding for finding in findings if finding.code == code] for code in codes]


def _merged(record: Record, same: Sequence[Finding], anchor: str) -> FindingView:
    """The view of the worst finding of a check, with those about other subjects."""
    worst, *rest = same
    others = tuple(_line(record, one, f"{anchor}-{place}") for place, one in enumerate(rest[:MAX_OTHERS], 2))
    return replace(_line(record, worst, anchor), others=others, left=len(rest) - len(others))


def line_size(lines: Sequence[FindingView]) -> int:
    """Characters of the lines of findings without their details, about."""
    own = sum(LINE + len(line.claim) + len(line.strip) for line in lines)
    return own + sum(LINE // 2 + len(other.claim) for line in lines for other in line.others)


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


def _detail_parts(record: Record, finding: Finding, pictures: int = OF_A_FINDING) -> list[tuple[str, Markup]]:
    """The details with a name each where other findings may have the same; pictures of at most so many characters."""
    parts: list[tuple[str, Markup]] = []
    question = next((check.question for check in record.checks if check.code == finding.code), "")
    if question:
        parts.append(("", Markup("<p><strong>{}</strong></p>").format(question)))
    if finding.meaning:
        parts.append(("meaning", Markup("<p>{}</p>").format(finding.meaning)))
    if finding.advice:
        parts.append(("what to do", Markup("<p><strong>What to do.</strong> {}</p>").format(finding.advice)))
    parts += [("", Markup('<p class="fine">{}</p>').format(text)) for text in _small_print(record, finding) if text]
    drawn = evidence_pictures(finding.pictures, pictures)
    parts += [("pictures", drawn)] * bool(drawn)
    return [*parts, *_repair_parts(record, finding), *evidence_parts(finding.evidence)]


MAX_IDS = 12
"""Ids of rows that are printed."""


def _small_print(record: Record, finding: Finding) -> list[str]:
    """The interval, what the rows could show, why the severity, which rows show it, and which features matter there."""
    check = next((check for check in record.checks if check.code == finding.code), None)
    limit = None if check is None else check.severe
    severity = f"Severity {finding.severity}" if finding.severity else ""
    if severity and limit is not None:
        severity += f": limit of severity {format_number(limit)}, {_percent(finding.affected)} of rows affected."
    reach = "" if finding.detectable is None else f"{format_number(finding.detectable)} or "
    reach += {"at most": "more", "at least": "less", "": ""}[finding.direction] if reach else ""
    none = finding.null_interval
    ids = ", ".join(truncate(str(one)) for one in finding.rows[:MAX_IDS])
    more, of = len(finding.rows) - MAX_IDS, "Training rows" if finding.rows_of == "train" else "Rows"
    trust = {str(verdict): text for verdict, text in ADVICE.items()}.get(finding.features_verdict, "not judged")
    named = join_names([truncate(name) for name in finding.features])
    return [
        describe_interval(record, finding),
        f"So many rows show a failure in four of five samples where the true value is {reach}." if reach else "",
        f"Without any effect it lies between {format_number(none.low)} and {format_number(none.high)} "
        f"({_percent(none.level)})."
        if none is not None
        else "",
        severity,
        f"{of} that show it: {ids}{f' and {more:,} more' if more > 0 else ''}." if ids else "",
        f"Features that matter most at these rows: {named}, by {method_name(finding.features_by)} (verdict on this "
        f"explanation: {trust})."
        if named
        else "",
    ]


def _repair_parts(record: Record, finding: Finding) -> list[tuple[str, Markup]]:
    """The repairs that answer a failed or undecided check, with what they need and what else they may change."""
    check = next((check for check in record.checks if check.code == finding.code), None)
    if check is None or not check.repairs or finding.verdict not in ("fail", "undecided"):
        return []
    lines = Markup("").join(
        Markup("<li><code>repair.{}</code>: {}{}</li>").format(
            one.method, one.meaning, f" Side effects: {one.side_effects}" if one.side_effects else ""
        )
        for one in check.repairs
    )
    return [("repairs", Markup("<p><strong>Repairs.</strong></p><ul>{}</ul>").format(lines))]


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
