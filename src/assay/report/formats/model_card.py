# SPDX-License-Identifier: Apache-2.0
"""An audit as a model card of the Hugging Face Hub: metadata in YAML, then sections in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable

from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding
from assay.report.audit.summary import TRUST, not_run, summary, worst_first
from assay.report.audit.tiles import describe_scope
from assay.report.drawing.formatting import finding_numbers, has_numbers
from assay.report.drawing.image_maps import has_images
from assay.report.findings.waivers import waiver_state
from assay.report.formats.markdown import escape_markdown

LIBRARIES = {"black box": "onnx", "architecture": "pytorch", "estimator": "sklearn"}
"""The library that loads a model, by a key of ``Record.about``."""

BOOSTERS = {"XGB": "xgboost", "LGBM": "lightgbm"}
MAX_METRICS = 100
"""Findings that become metrics, worst first."""

MAX_LINES = 200
"""Lines of a section."""


def model_card(record: Record) -> str:
    """The card: front matter in YAML, then data, checks, findings, limits, and the command to reproduce them."""
    return "\n".join(["---", *_front_matter(record), "---", "", *_body(record)]).rstrip() + "\n"


def _front_matter(record: Record) -> list[str]:
    """``model-index`` as the Hub defines it: one result with a metric for every finding with an estimate."""
    name = record.about.get("model", "") or record.title or "model"
    ordered = worst_first(record)
    metrics = [f for f in ordered if math.isfinite(f.estimate) and not f.code.startswith(TRUST)][:MAX_METRICS]
    library = next((named for key, named in LIBRARIES.items() if key in record.about), "")
    estimator = record.about.get("estimator", "")
    library = next((named for start, named in BOOSTERS.items() if estimator.startswith(start)), library)
    lines = [f"library_name: {library}"] if library else []
    lines += ["tags:", "- assay", "- explainability", "- model-audit"]
    if not metrics:
        return lines
    lines += ["model-index:", f"- name: {yaml_string(name)}", "  results:", f"  - task: {{type: {_task(record)}}}"]
    lines += [f"    dataset: {{name: {yaml_string(record.about.get('data', 'audited rows'))}, type: audited-rows}}"]
    lines += ["    metrics:"]
    for finding in metrics:
        lines += [
            f"    - type: {yaml_string(f'assay-{finding.code}'.lower())}",
            f"      name: {yaml_string(f'{finding.code} of {finding.subject}: {finding.verdict}')}",
            f"      value: {finding.estimate!r}",
        ]
    return lines


def _task(record: Record) -> str:
    if any(has_images(explanation) for explanation in record.explanations.values()):
        return "image-classification"
    return "tabular-classification" if record.predictions else "tabular-regression"


def _body(record: Record) -> list[str]:
    text = escape_markdown
    checks = dict.fromkeys(f"{f.code}: {f.meaning}" for f in record.findings if f.meaning)
    identity = {**record.about, **record.times}
    top = summary(record)
    counts = ", ".join(f"{count.count} {count.word}" for count in top.counts)
    lines = [f"# {text(record.title or 'Model card')}", "", f"**{text(top.headline, 600)}**", ""]
    lines += [text(top.quality, 600), ""]
    lines += _section("Audited model and data", (f"**{text(name)}**: {text(v, 400)}" for name, v in identity.items()))
    lines += _section("Checks", [text(describe_scope(record), 600), counts, *(text(check, 400) for check in checks)])
    lines += _section("Findings", (_finding(record, finding) for finding in worst_first(record)))
    lines += _section("Limits", (text(limit, 400) for limit in record.limits))
    skipped = [f"{text(item.what)}: {text(item.why, 300)}" for item in record.not_run]
    refused = [f"{text(refusal.method)}: {text(refusal.reason, 300)}" for refusal in record.refusals]
    lines += _section(f"Not run ({not_run(record)})", [*skipped, *refused])
    if record.reproduce:
        lines += ["## Reproduce", "", *_code_block(record.reproduce), ""]
    return lines


def _finding(record: Record, finding: Finding) -> str:
    estimate, bounds, need = finding_numbers(finding) if has_numbers(finding) else ("", "", "")
    numbers = " ".join(filter(None, (estimate, bounds, need)))
    waiver = waiver_state(record, finding)
    claim = f"**{finding.verdict}** {escape_markdown(finding.code, 40)} {escape_markdown(finding.claim, 400)}"
    claim += f" – {escape_markdown(numbers)}" if numbers else ""
    return claim + (f"; {escape_markdown(waiver.text, 400)}" if waiver else "")


def _section(title: str, lines: Iterable[str]) -> list[str]:
    items = list(lines)
    if not items:
        return []
    more = [f"- … and {len(items) - MAX_LINES} more"] if len(items) > MAX_LINES else []
    return [f"## {title}", "", *(f"- {line}" for line in items[:MAX_LINES]), *more, ""]


def _code_block(text: str) -> list[str]:
    """An indented code block, which no text can end."""
    return [f"    {line}" for line in text.splitlines()]


def yaml_string(text: str) -> str:
    """A double-quoted YAML scalar on one line; unprintable characters are escaped."""
    signs = {"\\": "\\\\", '"': '\\"'}
    inner = (signs.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text)
    return f'"{"".join(inner)}"'
