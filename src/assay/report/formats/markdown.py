# SPDX-License-Identifier: Apache-2.0
"""An audit, or a comparison of two audits, as a comment in GitHub and GitLab Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from assay.nouns.comparisons.audit_comparison import Change, Comparison, Drift
from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding
from assay.report.audit.summary import summary, worst_first
from assay.report.audit.tiles import describe_scope
from assay.report.comparison import summary as comparison_summary
from assay.report.comparison.page import change_numbers, describe_pairing, drift_numbers
from assay.report.drawing.formatting import VERDICTS, finding_numbers, format_count, has_numbers
from assay.report.findings.waivers import waiver_state

MAX_LENGTH = 65_000
"""Characters of a comment; GitHub's limit is 65,536."""

MAX_CLAIM = 300
"""Characters of a claim."""

MAX_MEASURES = 60
"""Lines about drift in a comment; an audit has three for each method."""

SIGNS = {
    "error": "⚠️", "fail": "❌", "undecided": "❔", "skipped": "⏭️", "pass": "✅", "info": "ℹ️",
    "better": "🔼", "worse": "🔽",
}  # fmt: skip

_PUNCTUATION = str.maketrans({sign: f"&#{ord(sign)};" for sign in "\\`*_{}[]<>#!|~$&"})
_UNSEEN = re.compile("[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def markdown(record: Record) -> str:
    """Headline, counts, scope, and as many findings as fit, worst first."""
    top = summary(record)
    counts = " · ".join(f"{SIGNS[count.tone]} {count.count} {count.word}" for count in top.counts)
    title = escape_markdown(record.title or "Audit")
    head = [
        f"## {title}",
        "",
        f"**{escape_markdown(top.headline, 600)}**",
        "",
        escape_markdown(top.quality, 600),
        "",
        counts,
        "",
    ]
    if top.next_step:
        head += [f"Next step: {escape_markdown(top.next_step, 600)}", ""]
    head += [escape_markdown(describe_scope(record)), ""]
    ordered = worst_first(record)
    if ordered:
        head += ["| verdict | check | claim | estimate | needs |", "|---|---|---|---|---|"]
    lines = [_line(record, finding) for finding in ordered]
    fitting = _fitting(lines, head)
    left = len(lines) - len(fitting)
    tail = ["", f"… and {format_count(left, 'more finding')}; report.html has all of them."] if left else []
    return "\n".join([*head, *fitting, *tail]).rstrip() + "\n"


def _fitting(lines: Sequence[str], others: Sequence[str]) -> list[str]:
    """The first lines that fit into a comment together with the other lines."""
    left = MAX_LENGTH - len("\n".join(others)) - 200
    fitting: list[str] = []
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            break
        fitting.append(line)
    return fitting


def comparison_markdown(comparison: Comparison) -> str:
    """Headline, counts, as many changed checks as fit (worst first), drift and notes."""
    counts = comparison_summary.counts(comparison)
    count_line = " · ".join(f"{SIGNS[count.tone]} {count.count} {count.word}" for count in counts)
    head = [f"## {escape_markdown(comparison.before)} → {escape_markdown(comparison.after)}", ""]
    head += [f"**{escape_markdown(comparison_summary.headline(comparison), 600)}**", "", count_line, ""]
    predictions = comparison_summary.changed_predictions(comparison)
    head += [escape_markdown(predictions), ""] if predictions else []
    statuses = [status for status in comparison_summary.STATUSES if status != "no change shown"]
    changed = [c for status in statuses for c in comparison.of(status)]
    notes = [f"- {escape_markdown(note, 600)}" for note in comparison.notes]
    below = [*_drift_table(comparison.drifts[:MAX_MEASURES]), *notes]
    if changed:
        head += ["| change | check | subject | before | after | difference |", "|---|---|---|---|---|---|"]
    fitting = _fitting([_changed(change) for change in changed], [*head, *below])
    left = len(changed) - len(fitting)
    tail = ["", f"… and {format_count(left, 'more changed check')}."] if left else []
    return "\n".join([*head, *fitting, *tail, "", *below]).rstrip() + "\n"


def _changed(change: Change) -> str:
    sides = [
        "–" if f is None else escape_markdown(f"{f.verdict} {' '.join(finding_numbers(f)[:2])}")
        for f in (change.before, change.after)
    ]
    difference = " ".join(filter(None, (*change_numbers(change), f"({describe_pairing(change)})")))
    style = comparison_summary.STATUSES[change.status]
    cells = [
        f"{SIGNS[style.icon]} {style.label}",
        escape_markdown(change.code, 40),
        escape_markdown(change.subject, MAX_CLAIM),
        *sides,
        escape_markdown(difference),
    ]
    return f"| {' | '.join(cells)} |"


def _drift_table(drifts: Sequence[Drift]) -> list[str]:
    if not drifts:
        return []
    lines = ["| explanation | similarity | mean | re-running | drifted | rows |", "|---|---|---|---|---|---|"]
    for drift in drifts:
        mean, bounds, band = drift_numbers(drift)
        rows = f"{drift.rows:,}" + (f" ({drift.changed:,} left out: explained class changed)" if drift.changed else "")
        cells = (drift.method, drift.measure, f"{mean} {bounds}", band, "yes" if drift.drifted else "no", rows)
        lines.append(f"| {' | '.join(escape_markdown(cell) for cell in cells)} |")
    return [*lines, ""]


def _line(record: Record, finding: Finding) -> str:
    waiver = waiver_state(record, finding)
    estimate, bounds, need = finding_numbers(finding) if has_numbers(finding) else ("", "", "")
    claim = escape_markdown(finding.claim, MAX_CLAIM)
    claim += f"<br>{escape_markdown(waiver.text, MAX_CLAIM)}" if waiver else ""
    is_waived = waiver is not None and waiver.state == "waived"
    sign = SIGNS["info" if is_waived else VERDICTS[finding.verdict].tone]
    cells = [
        f"{sign} {'waived' if is_waived else finding.verdict}",
        escape_markdown(finding.code, 40),
        claim,
        escape_markdown(f"{estimate} {bounds}".strip()),
        escape_markdown(need.removeprefix("needs ")),
    ]
    return f"| {' | '.join(cells)} |"


def escape_markdown(text: str, most: int = 200) -> str:
    """Text without any markup: it makes no table, emphasis, link, image, mention or reference.

    Markup characters become entities; a zero-width space keeps addresses and mentions from becoming links.
    """
    text = re.sub(r"\s+", " ", _UNSEEN.sub(" ", text)).strip()
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    text = text.translate(_PUNCTUATION)
    text = re.sub(r"(?i)(www)\.", "\\1\u200b.", text).replace("://", ":\u200b//").replace("@", "@\u200b")
    return re.sub(r"(?i)&#35;(?=\d)|\bGH(?=-\d)|^[-+]", lambda found: f"{found[0]}\u200b", text)
