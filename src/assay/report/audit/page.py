# SPDX-License-Identifier: Apache-2.0
"""From a record to one HTML page that needs nothing outside itself and runs no script."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from assay.basics.types import Floats
from assay.nouns.records.record import Reasons, Record, RepairRecord
from assay.nouns.results.result import AttackResult, Certificate, Explanation, Finding
from assay.report.audit.explanation_verdicts import standings
from assay.report.audit.findings import listing
from assay.report.audit.galleries import rooms
from assay.report.audit.glossary import glossary
from assay.report.audit.score_matrix import matrix
from assay.report.audit.settings_grid import settings_told
from assay.report.audit.summary import summary
from assay.report.audit.tiles import command, scope, tiles
from assay.report.audit.waivers import day_of, risks
from assay.report.drawing import colours
from assay.report.drawing.bars import PARTS, Chart, local, overall, reasoned
from assay.report.drawing.critical_difference import panels
from assay.report.drawing.formatting import (
    VERDICTS,
    advice,
    breakable,
    chip,
    counted,
    cut,
    figures_of,
    icon,
    listed,
    number,
    places,
)
from assay.report.drawing.image_maps import album, pictorial
from assay.report.drawing.svg import coverage, moved, strip

ROWS = 3
"""Rows of a table that are drawn one by one."""

OPEN = ("error", "fail", "undecided", "not run")
"""Verdicts whose findings are unfolded when the page is opened."""


UNSEEN = dict.fromkeys(
    [*(c for c in range(0x20) if c not in (0x09, 0x0A, 0x0D)), 0x7F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)],
    "\ufffd",
)
"""Characters that no reader sees and that could turn a line around: controls, and overrides of the reading order."""


def render(record: Record) -> str:
    """The page of a record."""
    hung = rooms(record)
    page = (
        environment()
        .get_template("page.html")
        .render(
            record=record,
            title=record.title or "Audit",
            summary=summary(record),
            command=command(record),
            standings=standings(record),
            tiles=tiles(record),
            scope=scope(record),
            listing=listing(record),
            matrix=matrix(record),
            panels=panels(record),
            varied=settings_told(record),
            rooms=hung,
            album=album(record, chosen_rows=_one_of_each(record), spent=hung.size),
            tables=_tables(record),
            reasons=_by_row(record.reasons),
            attacks=[_attack(subject, attack_result) for subject, attack_result in record.attack_results.items()],
            certificates=[_certified(name, c) for name, c in record.certificates.items()],
            repairs=[(repair_record, _pairs(repair_record)) for repair_record in record.repairs],
            terms=glossary(record),
            versions=_versions(record),
            marks=_marks(record),
            settings={name: record.about[name] for name in ("profile", "seed") if name in record.about},
            risks=risks(record),
            day=day_of(record),
            notes=_notes(record),
        )
    )
    return page.translate(UNSEEN)


@functools.cache
def environment() -> Environment:
    """Templates of this package, with all text escaped, and the words and drawings they use."""
    made = Environment(
        loader=PackageLoader("assay.report", "fragments"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    tools: dict[str, Any] = {
        "chip": chip, "advice": advice, "icon": icon, "number": number, "counted": counted, "breakable": breakable,
        "strip": strip, "figures_of": figures_of, "cut": cut,
        "VERDICTS": VERDICTS, "OPEN": OPEN, "PARTS": PARTS, "colours": colours,
    }  # fmt: skip
    made.globals.update(tools)
    return made


def _one_of_each(record: Record) -> tuple[int, ...]:
    """The first row of every gallery, each once: what all methods are drawn for."""
    return tuple(dict.fromkeys(gallery.rows[0] for gallery in record.galleries if gallery.rows))


@dataclass(frozen=True)
class _Tables:
    """Bar charts: over all rows, and (row, its prediction, its charts) for the rows drawn."""

    overall: tuple[Chart, ...]
    rows: tuple[tuple[str, str, tuple[Chart, ...]], ...]
    count: int


def _tables(record: Record) -> _Tables:
    chosen = [e for name, e in record.explanations.items() if name not in record.references and not pictorial(e)]
    if not chosen:
        return _Tables((), (), 0)
    ids = chosen[0].ids
    rows = [
        (ids[row], _prediction(record, chosen[0], row), tuple(local(e, row) for e in chosen if row < len(e.ids)))
        for row in range(0 if record.galleries else min(ROWS, len(ids)))
    ]
    return _Tables(tuple(map(overall, chosen)), tuple(rows), len(ids))


def _prediction(record: Record, explanation: Explanation, row: int) -> str:
    labels = record.predictions or explanation.labels
    return labels[row] if row < len(labels) else ""


def _by_row(reasons: Sequence[Reasons]) -> list[tuple[str, str, float, list[Chart]]]:
    rows: dict[tuple[str, str], list[Reasons]] = {}
    for table in reasons:
        rows.setdefault((table.row, table.question), []).append(table)
    return [
        (row, question, tables[0].output, [reasoned(t) for t in tables]) for (row, question), tables in rows.items()
    ]


@dataclass(frozen=True)
class _Attack:
    subject: str
    attack_result: AttackResult
    figure: Markup
    before: str
    after: str
    random: str
    farthest: str


def _attack(subject: str, attack_result: AttackResult) -> _Attack:
    means = (_mean(attack_result.before), _mean(attack_result.after), _mean(attack_result.random))
    before, after, random = (number(mean, places(*means)) for mean in means)
    farthest = number(float(np.nanmax(attack_result.moved)) if np.isfinite(attack_result.moved).any() else float("nan"))
    return _Attack(subject, attack_result, moved(*means), before, after, random, farthest)


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


@dataclass(frozen=True)
class _Bound:
    name: str
    median: str
    least: str
    greatest: str
    figure: Markup


def _certified(name: str, certificate: Certificate) -> tuple[str, Certificate, list[_Bound]]:
    bounds = []
    for quantity, values in certificate.bounds.items():
        known = values[~np.isnan(values)]
        quantiles = np.quantile(known, (0.5, 0.0, 1.0)) if len(known) else np.full(3, np.nan)
        median, least, greatest = (number(v) if len(known) else "abstained" for v in quantiles.tolist())
        drawn = coverage(values.tolist(), f"share of rows with {quantity} at least so large")
        bounds.append(_Bound(quantity, median, least, greatest, drawn))
    return name, certificate, bounds


def _pairs(repair_record: RepairRecord) -> list[tuple[Finding | None, Finding | None]]:
    """Each finding before with the same check after; a repaired model may bear another name."""
    left = list(repair_record.after)
    pairs: list[tuple[Finding | None, Finding | None]] = []
    for before in repair_record.before:
        alike = sorted((f for f in left if f.code == before.code), key=lambda f: f.subject != before.subject)
        mate = alike[0] if alike else None
        left = [f for f in left if f is not mate]
        pairs.append((before, mate))
    return [*pairs, *((None, f) for f in left)]


def _versions(record: Record) -> Mapping[str, str]:
    results = (*record.explanations.values(), *record.scores.values(), *record.attack_results.values())
    return dict(results[0].provenance.versions) if results else {}


def _marks(record: Record) -> dict[str, str]:
    """Digests of what went in: model, rows and the cut into parts."""
    results = (*record.explanations.values(), *record.scores.values(), *record.attack_results.values())
    if not results:
        return {}
    made = results[0].provenance
    return {
        "model": made.model_fingerprint,
        "rows explained": made.rows_fingerprint,
        "parts": made.features_fingerprint,
    }


def _notes(record: Record) -> list[tuple[str, str]]:
    """What results say about themselves, once each: the methods it concerns, and the sentence."""
    said: dict[str, list[str]] = {}
    results = [*record.explanations.items(), *((f"{score} of {name}", s) for (name, score), s in record.scores.items())]
    for name, result in results:
        for note in result.notes:
            said.setdefault(note.text, []).append(name)
    return [
        (f"{listed(names[:4])}{f' and {len(names) - 4} more' if len(names) > 4 else ''}", text)
        for text, names in said.items()
    ]
