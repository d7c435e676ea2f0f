# SPDX-License-Identifier: Apache-2.0
"""The page of an audit: one HTML file that loads nothing and runs no script."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from assay.nouns.records.record import Reasons, Record
from assay.nouns.results.result import Explanation
from assay.nouns.results.severity import RULE
from assay.report.audit.explanation_verdicts import explanation_verdicts
from assay.report.audit.galleries import MAX_ROWS as MAX_GALLERY_ROWS
from assay.report.audit.galleries import draw_galleries, some_cards
from assay.report.audit.glossary import glossary
from assay.report.audit.performance import performance
from assay.report.audit.score_matrix import score_matrix
from assay.report.audit.settings_grid import summarise_grid
from assay.report.audit.summary import checked_name, summary
from assay.report.audit.tiles import describe_scope, next_command, tiles
from assay.report.audit.views import agreement_table, draw_views
from assay.report.drawing import colours
from assay.report.drawing.bars import MAX_BARS, Chart, local_chart, mean_chart, reason_chart
from assay.report.drawing.critical_difference import rank_plots
from assay.report.drawing.formatting import (
    VERDICTS,
    advice_chip,
    breakable,
    finding_numbers,
    format_count,
    format_number,
    icon,
    join_names,
    method_label,
    method_name,
    prose,
    rounding_title,
    shorten,
    truncate,
    verdict_chip,
)
from assay.report.drawing.image_maps import draw_images, has_images, image_size
from assay.report.drawing.svg import draw_strip
from assay.report.findings.finding_list import OPEN, FindingList, line_size, list_findings
from assay.report.findings.repairs import repair_views
from assay.report.findings.waivers import day_of, waiver_coverages
from assay.report.robustness.attacks import view_attacks
from assay.report.robustness.certificates import view_certificates
from assay.report.robustness.certified_rows import certified_row

MAX_ROWS = 3
"""Rows of a table that are drawn one by one."""

IDENTITY = ("model", "data", "explained output")
"""What an audit records about itself that is printed at the top; the rest is printed under Reproduce."""

NOT_POSSIBLE = "a model or data with this property"
"""What is said to enable a step that this model and these data cannot have."""

SECTIONS = {
    "performance": "Performance",
    "findings": "Findings",
    "explanations": "Explanation",
    "reasons": "Reason tables",
    "repairs": "Repairs",
    "waivers": "Waivers",
    "not-run": "Not checked",
    "views": "Views of the model",
    "scores": "Scores of explanations",
    "methods": "All explanations",
    "attacks": "Attacks and certificates",
    "limits": "Limits",
    "reproduce": "Reproduce",
    "glossary": "Glossary",
}
"""Sections in their order, by id; one without content is left out."""

FOLDED = ("repairs", "views", "scores", "methods", "attacks", "limits", "reproduce", "glossary")
"""Sections that are folded: long tables, settings and hashes."""

MAX_PAGE, SLACK = 300_000, 1_000
"""Bytes of a page that the details of findings may fill, and characters that are kept free."""

MAX_CHANGES = 12
"""Findings of a fault class before and after repairs that are printed."""

GALLERY_ROWS = (MAX_GALLERY_ROWS, 4, 2, 1)
"""Rows of a gallery that are tried until the page fits into ``MAX_PAGE``."""

CARDS = 6
"""Example rows that are shown before anything is unfolded."""

UNSEEN = dict.fromkeys(
    [*(c for c in range(0x20) if c not in (0x09, 0x0A, 0x0D)), 0x7F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)],
    "\ufffd",
)
"""Invisible characters, replaced on the page: control characters, and overrides of the text direction."""


def render(record: Record) -> str:
    """The page of a record within ``MAX_PAGE``, where that is possible.

    Details of findings are left out, and counted; where that does not suffice, galleries show fewer rows.
    """
    page, findings = "", list_findings(record)
    lines = line_size([view for group in findings.groups for view in group.views])
    for rows in GALLERY_ROWS:
        page = _render(record, findings, rows)
        excess = len(page.encode()) - MAX_PAGE
        if excess > 0 and findings.size:
            page = _render(record, list_findings(record, lines + max(0, findings.size - excess - SLACK)), rows)
        if len(page.encode()) <= MAX_PAGE:
            return page
    return page


def _render(record: Record, findings: FindingList, rows: int = MAX_GALLERY_ROWS) -> str:
    view = _view(record, findings, rows)
    has_content = {
        "performance": view["performance"].metrics,
        "findings": record.findings,
        "scores": record.scores or record.explanations,
        "explanations": view["images"].views or view["charts"].mean,
        "views": view["views"].shown or view["views"].left_out,
        "methods": view["images"].views or view["charts"].mean,
        "reasons": record.reasons,
        "attacks": record.attack_results or record.certificates,
        "repairs": record.repairs,
        "waivers": record.waivers,
        "limits": record.limits or view["notes"],
        "not-run": record.not_run or record.refusals,
        "reproduce": any((record.reproduce, record.cost, record.times, view["versions"], view["settings"])),
        "glossary": view["terms"],
    }
    sections = {name: title for name, title in SECTIONS.items() if has_content[name]}
    page = environment().get_template("page.html").render(record=record, sections=sections, **view)
    return page.translate(UNSEEN)


def _view(record: Record, findings: FindingList, rows: int) -> dict[str, Any]:
    """Everything that the templates print; of each gallery at most ``rows`` rows besides the example rows."""
    every = draw_galleries(record)
    galleries = every if rows == MAX_GALLERY_ROWS else draw_galleries(record, rows)
    cards = some_cards(every, CARDS)
    anchors = galleries.image_anchors | {card.image_anchor for _, card in cards if card.image}
    return {
        "title": record.title or "Audit",
        "identity": _identity(record),
        "summary": summary(record),
        "command": next_command(record),
        "verdicts": explanation_verdicts(record),
        "performance": performance(record),
        "cards": cards,
        "shown": {card.anchor for _, card in cards},
        "views": draw_views(record),
        "agreement": agreement_table(record),
        "tiles": tiles(record),
        "scope": describe_scope(record),
        "finding_list": findings,
        "matrix": score_matrix(record),
        "rank_plots": rank_plots(record),
        "grid": summarise_grid(record),
        "galleries": galleries,
        "images": draw_images(record, chosen_rows=_gallery_rows(record), spent=every.size, known=anchors),
        "image_size": next((image_size(e) for e in record.explanations.values() if has_images(e)), (1, 1)),
        "charts": _charts(record),
        "reason_tables": _reasons_by_row(record.reasons),
        "attacks": view_attacks(record),
        "certificates": view_certificates(record),
        "certified": functools.partial(certified_row, record),
        "repairs": repair_views(record),
        "terms": glossary(record),
        "versions": _versions(record),
        "fingerprints": _fingerprints(record),
        "settings": {n: text for n, text in record.about.items() if _is_in_reproduce(n)},
        "waivers": waiver_coverages(record),
        "day": day_of(record),
        "missing": _missing(record),
        "notes": _notes(record),
    }


@functools.cache
def environment() -> Environment:
    """The templates of this package with autoescape, and the functions that they call."""
    environment = Environment(
        loader=PackageLoader("assay.report", "fragments"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    functions: dict[str, Any] = {
        "verdict_chip": verdict_chip, "advice_chip": advice_chip, "icon": icon, "format_number": format_number,
        "format_count": format_count, "method_label": method_label, "method_name": method_name,
        "draw_strip": draw_strip, "finding_numbers": finding_numbers, "shorten": shorten, "breakable": breakable,
        "truncate": truncate,
        "rounding_title": rounding_title, "prose": prose,
        "SEVERITY_RULE": RULE, "VERDICTS": VERDICTS, "OPEN": OPEN, "FOLDED": FOLDED, "COST_LABELS": COST_LABELS,
        "MAX_BARS": MAX_BARS, "MAX_CHANGES": MAX_CHANGES, "colours": colours,
    }  # fmt: skip
    environment.globals.update(functions)
    return environment


def _is_in_reproduce(name: str) -> bool:
    return name not in IDENTITY and name != "versions"


def _identity(record: Record) -> dict[str, str]:
    """What was audited and when, on one line under the title."""
    lines = {name: record.about[name] for name in IDENTITY if name in record.about}
    explained = next((len(e.ids) for e in record.explanations.values()), 0)
    if explained:
        lines["rows explained"] = f"{explained:,}"
    return lines | {"date": record.times["when"]} if "when" in record.times else lines


def _missing(record: Record) -> list[tuple[str, str]]:
    """What would enable checks of the model that were not made, and which methods need it."""
    needed: dict[str, list[str]] = {}
    for item in record.not_run:
        verb, _, name = item.what.partition(".")
        if verb in ("diagnose", "attack", "certify", "repair") and item.enable != NOT_POSSIBLE:
            needed.setdefault(item.enable, []).append(checked_name(name))
    return [(enable, join_names(list(dict.fromkeys(names))[:6])) for enable, names in needed.items()]


def _gallery_rows(record: Record) -> tuple[int, ...]:
    """The first row of every gallery: the rows that all methods are drawn for."""
    return tuple(dict.fromkeys(gallery.rows[0] for gallery in record.galleries if gallery.rows))


@dataclass(frozen=True)
class _Charts:
    """Bar charts of the mean over rows, and (row, its predicted class, its charts) for the rows drawn."""

    mean: tuple[Chart, ...]
    rows: tuple[tuple[str, str, tuple[Chart, ...]], ...]
    count: int


def _charts(record: Record) -> _Charts:
    chosen = [e for name, e in record.explanations.items() if name not in record.references and not has_images(e)]
    if not chosen:
        return _Charts((), (), 0)
    ids = chosen[0].ids
    rows = [
        (ids[row], _predicted(record, chosen[0], row), tuple(local_chart(e, row) for e in chosen if row < len(e.ids)))
        for row in range(0 if record.galleries else min(MAX_ROWS, len(ids)))
    ]
    return _Charts(tuple(map(mean_chart, chosen)), tuple(rows), len(ids))


def _predicted(record: Record, explanation: Explanation, row: int) -> str:
    labels = record.predictions or explanation.labels
    return labels[row] if row < len(labels) else ""


def _reasons_by_row(reasons: Sequence[Reasons]) -> list[tuple[str, str, float, list[Chart]]]:
    rows: dict[tuple[str, str], list[Reasons]] = {}
    for table in reasons:
        rows.setdefault((table.row, table.question), []).append(table)
    return [
        (row, question, tables[0].output, [reason_chart(t) for t in tables]) for (row, question), tables in rows.items()
    ]


COST_LABELS = {
    "when": "date",
    "took": "duration",
    "checks judged together": "checks in the Holm correction",
    "model evaluations now": "model evaluations in this run",
    "gradient evaluations now": "gradient evaluations in this run",
}
"""Cost and time entries as text on the page."""


def _versions(record: Record) -> Mapping[str, str]:
    results = (*record.explanations.values(), *record.scores.values(), *record.attack_results.values())
    return dict(results[0].provenance.versions) if results else {}


def _fingerprints(record: Record) -> dict[str, str]:
    """Fingerprints of the model, the rows explained and the definition of the features."""
    results = (*record.explanations.values(), *record.scores.values(), *record.attack_results.values())
    if not results:
        return {}
    provenance = results[0].provenance
    return {
        "model": provenance.model_fingerprint,
        "rows explained": provenance.rows_fingerprint,
        "features": provenance.features_fingerprint,
    }


def _notes(record: Record) -> list[tuple[str, str]]:
    """The notes of all results, each once: the methods with this note, and its text."""
    methods: dict[str, list[str]] = {}
    results = [
        *((method_name(name), e) for name, e in record.explanations.items()),
        *((f"{method_name(score)} of {method_name(name)}", s) for (name, score), s in record.scores.items()),
    ]
    for name, result in results:
        for note in result.notes:
            methods.setdefault(note.text, []).append(name)
    return [
        (f"{join_names(names[:4])}{f' and {len(names) - 4} more' if len(names) > 4 else ''}", text)
        for text, names in methods.items()
    ]
