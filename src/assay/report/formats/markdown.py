# SPDX-License-Identifier: Apache-2.0
"""An audit, or two compared, as a comment on a change, in the Markdown that GitHub and GitLab read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from assay.nouns.comparisons.audit_comparison import Change, Comparison, Drift
from assay.nouns.records.record import Record
from assay.nouns.results.result import Finding
from assay.report.audit.summary import summary, worst_first
from assay.report.audit.tiles import scope
from assay.report.audit.waivers import acceptance
from assay.report.comparison import summary as courses
from assay.report.comparison.page import change_told, drift_told, how
from assay.report.drawing.formatting import VERDICTS, counted, figures_of

MOST = 65_000
"""Characters of a comment; GitHub refuses more than 65,536."""

TEXT = 300
"""Characters of a claim that are shown."""

MEASURES = 60
"""Lines about drift that a comment has; an audit has three a method."""

SIGNS = {
    "error": "⚠️", "fail": "❌", "undecided": "❔", "skipped": "⏭️", "pass": "✅", "told": "ℹ️",
    "better": "🔼", "worse": "🔽",
}  # fmt: skip

_PUNCTUATION = str.maketrans({sign: f"&#{ord(sign)};" for sign in "\\`*_{}[]<>#!|~$&"})
_UNSEEN = re.compile("[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def markdown(record: Record) -> str:
    """Verdict, counts, scope, and the findings worst first, as many as fit."""
    said = summary(record)
    counts = " · ".join(f"{SIGNS[count.tone]} {count.count} {count.word}" for count in said.counts)
    head = [f"## {plain(record.title or 'Audit')}", "", f"**{plain(said.headline)}**", "", counts, ""]
    if said.following:
        head += [f"First thing to do: {plain(said.following, 600)}", ""]
    head += [plain(scope(record)), ""]
    ordered = worst_first(record)
    if ordered:
        head += ["| verdict | check | claim | estimate | needs |", "|---|---|---|---|---|"]
    lines = [_line(record, finding) for finding in ordered]
    kept = _fitting(lines, head)
    left = len(lines) - len(kept)
    tail = ["", f"… and {counted(left, 'more finding')}; report.html has all of them."] if left else []
    return "\n".join([*head, *kept, *tail]).rstrip() + "\n"


def _fitting(lines: Sequence[str], beside: Sequence[str]) -> list[str]:
    """As many of the lines as fit into a comment that also holds what stands beside them."""
    room = MOST - len("\n".join(beside)) - 200
    kept: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept


def compared_markdown(comparison: Comparison) -> str:
    """The sentence, counts, drift, notes, and the checks that changed, worst first, as many as fit."""
    counts = " · ".join(f"{SIGNS[count.tone]} {count.count} {count.word}" for count in courses.counts(comparison))
    head = [f"## {plain(comparison.before)} → {plain(comparison.after)}", ""]
    head += [f"**{plain(courses.headline(comparison), 600)}**", "", counts, ""]
    head += [f"{plain(courses.moved(comparison))}", ""] if courses.moved(comparison) else []
    changed = [c for course in courses.COURSES if course != "no change shown" for c in comparison.of(course)]
    below = [*_drifts(comparison.drifts[:MEASURES]), *(f"- {plain(note, 600)}" for note in comparison.notes)]
    if changed:
        head += ["| course | check | subject | before | after | change |", "|---|---|---|---|---|---|"]
    kept = _fitting([_changed(change) for change in changed], [*head, *below])
    left = len(changed) - len(kept)
    tail = ["", f"… and {counted(left, 'more check')} that changed."] if left else []
    return "\n".join([*head, *kept, *tail, "", *below]).rstrip() + "\n"


def _changed(change: Change) -> str:
    sides = [
        "–" if f is None else plain(f"{f.verdict} {' '.join(figures_of(f)[:2])}") for f in (change.before, change.after)
    ]
    figures = plain(" ".join(filter(None, (*change_told(change), f"({how(change)})"))))
    sign = SIGNS[courses.COURSES[change.course].icon]
    told = f"{plain(change.code, 40)} | {plain(change.subject, TEXT)} | {' | '.join(sides)}"
    return f"| {sign} {change.course} | {told} | {figures} |"


def _drifts(drifts: Sequence[Drift]) -> list[str]:
    if not drifts:
        return []
    lines = ["| explanation | likeness | mean | re-running | drifted | rows |", "|---|---|---|---|---|---|"]
    for drift in drifts:
        mean, bounds, band = drift_told(drift)
        rows = f"{drift.rows:,}" + (f" ({drift.changed:,} left out: another class now)" if drift.changed else "")
        cells = (drift.method, drift.measure, f"{mean} {bounds}", band, "yes" if drift.drifted else "no", rows)
        lines.append(f"| {' | '.join(plain(cell) for cell in cells)} |")
    return [*lines, ""]


def _line(record: Record, finding: Finding) -> str:
    held = acceptance(record, finding)
    estimate, bounds, need = figures_of(finding) if finding.interval is not None else ("", "", "")
    claim = plain(finding.claim, TEXT) + (f"<br>{plain(held.told, TEXT)}" if held else "")
    word = "accepted" if held is not None and held.state == "accepted" else finding.verdict
    sign = SIGNS["told" if word == "accepted" else VERDICTS[finding.verdict].tone]
    figures = plain(f"{estimate} {bounds}".strip())
    return f"| {sign} {word} | {plain(finding.code, 40)} | {claim} | {figures} | {plain(need.removeprefix('needs '))} |"


def plain(text: str, most: int = 200) -> str:
    """Text that is only text: no table, emphasis, link, picture, mention or reference can be made of it.

    Signs of the markup are written as entities; a zero-width space keeps addresses and mentions from becoming links.
    """
    text = re.sub(r"\s+", " ", _UNSEEN.sub(" ", text)).strip()
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    text = text.translate(_PUNCTUATION)
    text = re.sub(r"(?i)(www)\.", "\\1\u200b.", text).replace("://", ":\u200b//").replace("@", "@\u200b")
    return re.sub(r"(?i)&#35;(?=\d)|\bGH(?=-\d)|^[-+]", lambda found: f"{found[0]}\u200b", text)
