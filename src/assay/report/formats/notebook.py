# SPDX-License-Identifier: Apache-2.0
"""An audit as HTML of a notebook cell: no script, frame, widget or style sheet."""

from __future__ import annotations

from markupsafe import Markup

from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding
from assay.report.audit.summary import summary, worst_first
from assay.report.audit.tiles import describe_scope, tiles
from assay.report.drawing.colours import FAIL, PASS, UNDECIDED
from assay.report.drawing.formatting import VERDICTS, finding_numbers, format_count, has_numbers, shorten
from assay.report.findings.waivers import waiver_state

MAX_FINDINGS = 12

_EDGES = {"fail": FAIL, "error": FAIL, "undecided": UNDECIDED, "pass": PASS}
_SIGNS = {"fail": "✕", "error": "⚠", "undecided": "?", "pass": "✓", "info": "i", "skipped": "–"}


def notebook_cell(record: Record) -> str:
    """Headline, counts, tiles, scope and the worst findings; colours only as edges, readable on a dark theme."""
    top = summary(record)
    counts = " · ".join(f"{count.count} {count.word}" for count in top.counts)
    findings = Markup("").join(_line(record, finding) for finding in worst_first(record)[:MAX_FINDINGS])
    left = len(record.findings) - MAX_FINDINGS
    more = f"… and {format_count(left, 'more finding')}; to_html writes the page." if left > 0 else ""
    cells = Markup("").join(
        Markup('<td style="text-align:left;vertical-align:top"><b>{}</b> {}<br>{}<br><small>{}</small></td>').format(
            tile.count, tile.total, tile.name, tile.note
        )
        for tile in tiles(record)
    )
    return Markup(
        '<div style="border-left:5px solid {};padding-left:12px"><p><b>{}</b></p><p>{}</p><p>{}</p><p>{}</p>'
        "<table><tr>{}</tr></table><p><small>{}</small></p><table>{}</table><p>{}</p></div>"
    ).format(
        _EDGES.get(top.tone, "#8f99a4"),
        shorten(record.title, 160),
        top.headline,
        top.quality,
        counts,
        cells,
        describe_scope(record),
        findings,
        more,
    )


def _line(record: Record, finding: Finding) -> Markup:
    tone, waiver = VERDICTS[finding.verdict].tone, waiver_state(record, finding)
    estimate, bounds, need = finding_numbers(finding) if has_numbers(finding) else ("", "", "")
    return Markup(
        '<tr><td style="text-align:left;white-space:nowrap;border-left:4px solid {}">{} {}</td><td><code>{}</code></td>'
        '<td style="text-align:left">{}{}</td><td style="white-space:nowrap">{} {}</td><td>{}</td></tr>'
    ).format(
        _EDGES.get(tone, "#8f99a4"),
        _SIGNS[tone],
        finding.verdict,
        shorten(finding.code),
        shorten(finding.claim, 200),
        Markup("<br><small>{}</small>").format(shorten(waiver.text, 200)) if waiver else "",
        estimate,
        bounds,
        need,
    )
