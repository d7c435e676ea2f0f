# SPDX-License-Identifier: Apache-2.0
"""An audit as a few lines in a notebook's cell: no script, no frame, no widget, no style sheet of its own."""

from __future__ import annotations

from markupsafe import Markup

from assay.nouns.records.record import Record
from assay.nouns.results.result import Finding
from assay.report.audit.summary import summary, worst_first
from assay.report.audit.tiles import scope, tiles
from assay.report.audit.waivers import acceptance
from assay.report.drawing.colours import FAIL, PASS, UNDECIDED
from assay.report.drawing.formatting import VERDICTS, counted, cut, figures_of

LINES = 12

_EDGES = {"fail": FAIL, "error": FAIL, "undecided": UNDECIDED, "pass": PASS}
_SIGNS = {"fail": "✕", "error": "⚠", "undecided": "?", "pass": "✓", "told": "i", "skipped": "–"}


def display(record: Record) -> str:
    """Headline, counts, tiles, scope and the worst findings; colours only as edges, so that dark themes read well."""
    said = summary(record)
    counts = " · ".join(f"{count.count} {count.word}" for count in said.counts)
    found = Markup("").join(_line(record, finding) for finding in worst_first(record)[:LINES])
    left = len(record.findings) - LINES
    more = f"… and {counted(left, 'more finding')}; to_html writes the page." if left > 0 else ""
    glance = Markup("").join(
        Markup('<td style="text-align:left;vertical-align:top"><b>{}</b> {}<br>{}<br><small>{}</small></td>').format(
            tile.count, tile.total, tile.name, tile.note
        )
        for tile in tiles(record)
    )
    return Markup(
        '<div style="border-left:5px solid {};padding-left:12px"><p><b>{}</b></p><p>{}</p><p>{}</p>'
        "<table><tr>{}</tr></table><p><small>{}</small></p><table>{}</table><p>{}</p></div>"
    ).format(
        _EDGES.get(said.tone, "#8f99a4"),
        cut(record.title, 160),
        said.headline,
        counts,
        glance,
        scope(record),
        found,
        more,
    )


def _line(record: Record, finding: Finding) -> Markup:
    tone, held = VERDICTS[finding.verdict].tone, acceptance(record, finding)
    estimate, bounds, need = figures_of(finding) if finding.interval is not None else ("", "", "")
    return Markup(
        '<tr><td style="text-align:left;white-space:nowrap;border-left:4px solid {}">{} {}</td><td><code>{}</code></td>'
        '<td style="text-align:left">{}{}</td><td style="white-space:nowrap">{} {}</td><td>{}</td></tr>'
    ).format(
        _EDGES.get(tone, "#8f99a4"),
        _SIGNS[tone],
        finding.verdict,
        cut(finding.code),
        cut(finding.claim, 200),
        Markup("<br><small>{}</small>").format(cut(held.told, 200)) if held else "",
        estimate,
        bounds,
        need,
    )
