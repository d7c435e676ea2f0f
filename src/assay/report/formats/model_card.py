# SPDX-License-Identifier: Apache-2.0
"""An audit as a model card of the Hugging Face hub: metadata for machines, then sections for people."""

from __future__ import annotations

import math
from collections.abc import Iterable

from assay.nouns.records.record import Record
from assay.nouns.results.result import Finding
from assay.report.audit.summary import TRUST, not_run, summary, worst_first
from assay.report.audit.tiles import scope
from assay.report.audit.waivers import acceptance
from assay.report.drawing.formatting import figures_of
from assay.report.drawing.image_maps import pictorial
from assay.report.formats.markdown import plain

LIBRARIES = {"black box": "onnx", "architecture": "pytorch", "estimator": "sklearn"}
"""What a model says about itself, by the library that the hub should load it with."""

BOOSTERS = {"XGB": "xgboost", "LGBM": "lightgbm"}
METRICS = 100
"""Findings that become metrics, worst first."""

LISTED = 200
"""Lines of a section."""


def card(record: Record) -> str:
    """The card: front matter in YAML, then what was checked, found, left out, and how to do it again."""
    return "\n".join(["---", *_front(record), "---", "", *_body(record)]).rstrip() + "\n"


def _front(record: Record) -> list[str]:
    """``model-index`` as the hub wants it: one result with a metric for every finding that has an estimate."""
    name = record.about.get("model", "") or record.title or "model"
    metrics = [f for f in worst_first(record) if math.isfinite(f.estimate) and not f.code.startswith(TRUST)][:METRICS]
    library = next((named for key, named in LIBRARIES.items() if key in record.about), "")
    estimator = record.about.get("estimator", "")
    library = next((named for start, named in BOOSTERS.items() if estimator.startswith(start)), library)
    lines = [f"library_name: {library}"] if library else []
    lines += ["tags:", "- assay", "- explainability", "- model-audit"]
    if not metrics:
        return lines
    lines += ["model-index:", f"- name: {quoted(name)}", "  results:", f"  - task: {{type: {_task(record)}}}"]
    lines += [f"    dataset: {{name: {quoted(record.about.get('data', 'audited rows'))}, type: audited-rows}}"]
    lines += ["    metrics:"]
    for finding in metrics:
        lines += [
            f"    - type: {quoted(f'assay-{finding.code}'.lower())}",
            f"      name: {quoted(f'{finding.code} of {finding.subject}: {finding.verdict}')}",
            f"      value: {finding.estimate!r}",
        ]
    return lines


def _task(record: Record) -> str:
    if any(pictorial(explanation) for explanation in record.explanations.values()):
        return "image-classification"
    return "tabular-classification" if record.predictions else "tabular-regression"


def _body(record: Record) -> list[str]:
    said = summary(record)
    checks = dict.fromkeys(f"{f.code}: {f.meaning}" for f in record.findings if f.meaning)
    identity = {**record.about, **record.times}
    lines = [f"# {plain(record.title or 'Model card')}", "", f"**{plain(said.headline)}**", ""]
    lines += _section("What was audited", (f"**{plain(name)}**: {plain(text, 400)}" for name, text in identity.items()))
    lines += _section("Intended checks", [plain(scope(record)), *(plain(check, 400) for check in checks)])
    lines += _section("Findings", (_finding(record, finding) for finding in worst_first(record)))
    lines += _section("Limits", (plain(limit, 400) for limit in record.limits))
    missing = [f"{plain(item.what)}: {plain(item.why, 300)}" for item in record.not_run]
    refused = [f"{plain(refusal.method)}: {plain(refusal.reason, 300)}" for refusal in record.refusals]
    lines += _section(f"Not run ({not_run(record)})", [*missing, *refused])
    if record.reproduce:
        lines += ["## How to reproduce", "", *_code(record.reproduce), ""]
    return lines


def _finding(record: Record, finding: Finding) -> str:
    estimate, bounds, need = figures_of(finding) if finding.interval is not None else ("", "", "")
    figures = " ".join(filter(None, (estimate, bounds, need)))
    held = acceptance(record, finding)
    told = f"**{finding.verdict}** {plain(finding.code, 40)} {plain(finding.claim, 400)}"
    return told + (f" – {plain(figures)}" if figures else "") + (f"; {plain(held.told, 400)}" if held else "")


def _section(title: str, lines: Iterable[str]) -> list[str]:
    kept = list(lines)
    if not kept:
        return []
    more = [f"- … and {len(kept) - LISTED} more"] if len(kept) > LISTED else []
    return [f"## {title}", "", *(f"- {line}" for line in kept[:LISTED]), *more, ""]


def _code(text: str) -> list[str]:
    """A block whose lines are indented, so that no text can end it."""
    return [f"    {line}" for line in text.splitlines()]


def quoted(text: str) -> str:
    """A double-quoted YAML scalar of one line; what cannot be printed is escaped."""
    signs = {"\\": "\\\\", '"': '\\"'}
    inner = (signs.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text)
    return f'"{"".join(inner)}"'
