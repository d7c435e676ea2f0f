# SPDX-License-Identifier: Apache-2.0
"""The four numbers at the top of the page, the scope of the audit, and the next command."""

from __future__ import annotations

import re
from dataclasses import dataclass

from assay.nouns.records.record import Record
from assay.report.audit.summary import TRUST, model_findings, most_urgent, not_run
from assay.report.audit.waivers import is_waived, waiver_coverages
from assay.report.drawing.formatting import format_count, format_number


@dataclass(frozen=True)
class Tile:
    """A count out of a total (empty where there is none), what it counts, and the section with the details."""

    tone: str
    count: str
    total: str
    name: str
    note: str
    section: str


def tiles(record: Record) -> tuple[Tile, ...]:
    """Explanations, attacks, model checks and waivers."""
    return _explanations(record), _attacks(record), _model_checks(record), _waivers(record)


def _explanations(record: Record) -> Tile:
    trust = [f for f in record.findings if f.code.startswith(TRUST)]
    usable = sum(f.verdict in ("pass", "informative") for f in trust)
    care = sum(f.verdict == "informative" for f in trust)
    undecided = sum(f.verdict == "undecided" for f in trust)
    if not trust:
        return Tile("skipped", "–", "", "explanations can be used", "no explanation was judged", "scores")
    notes = [f"{care} with care"] * bool(care) + [f"{undecided} undecided"] * bool(undecided)
    note = ", ".join(notes) or ("the others are rejected" if usable < len(trust) else "all are faithful")
    tone = "pass" if usable else "undecided" if undecided else "fail"
    return Tile(tone, str(usable), f"of {len(trust)}", "explanations can be used", note, "scores")


def _attacks(record: Record) -> Tile:
    results = record.attack_results.values()
    successful = sum(bool((result.success & result.prediction_unchanged).any()) for result in results)
    name = "successful explanation attacks"
    if not results:
        return Tile("skipped", "–", "", name, "no attack was run", "attacks")
    rows = max(int((result.success & result.prediction_unchanged).sum()) for result in results)
    note = f"on up to {format_count(rows, 'row')}, same predicted class" if successful else "on no row"
    tone = "undecided" if successful else "pass"
    return Tile(tone, str(successful), f"of {len(results)}", name, note, "attacks")


def _model_checks(record: Record) -> Tile:
    found = model_findings(record)
    failed = [f for f in found if f.verdict == "fail"]
    waived = sum(is_waived(record, f) for f in failed)
    if not found:
        return Tile("skipped", "–", "", "model checks failed", "the model itself was not checked", "findings")
    undecided = sum(f.verdict == "undecided" for f in found)
    notes = [f"{waived} waived"] * bool(waived) + [f"{undecided} undecided"] * bool(undecided)
    tone = "fail" if len(failed) > waived else "undecided" if waived or undecided else "pass"
    note = ", ".join(notes) or "of the checks that ran"
    return Tile(
        tone, str(len(failed)), f"of {format_count(len(found), 'check')}", "model checks failed", note, "findings"
    )


def _waivers(record: Record) -> Tile:
    waivers = waiver_coverages(record)
    expired = sum(waiver.is_expired for waiver in waivers)
    unused = sum(not waiver.covered for waiver in waivers)
    notes = [f"{format_count(expired, 'waiver')} expired"] * bool(expired) + [f"{unused} unused"] * bool(unused)
    tone = "undecided" if expired else "info" if waivers else "skipped"
    note = ", ".join(notes) or ("all waivers in force" if waivers else "no waivers")
    return Tile(tone, str(sum(is_waived(record, f) for f in record.findings)), "", "findings waived", note, "waivers")


def describe_scope(record: Record) -> str:
    """How many checks ran, and the probability that any of their verdicts is wrong."""
    missing = not_run(record)
    ran = sum(f.verdict not in ("not run", "not applicable", "error") for f in record.findings)
    total = len(record.findings) - sum(f.verdict == "not run" for f in record.findings) + missing
    errors = sum(f.verdict == "error" for f in record.findings)
    inapplicable = sum(f.verdict == "not applicable" for f in record.findings)
    parts = [f"{missing} not run (see Not checked)"] * bool(missing)
    parts += [f"{inapplicable} not applicable"] * bool(inapplicable) + [format_count(errors, "error")] * bool(errors)
    first = f"{ran} of {format_count(total, 'check')} ran" + (f"; {', '.join(parts)}." if parts else ".")
    corrected = record.cost.get("checks judged together", 0)
    if not corrected:
        return f"{first} No correction for multiple testing."
    error_rate = format_number(100 * (1 - record.level))
    correction = f"Holm correction over {format_count(corrected, 'check')}"
    return f"{first} Probability that any verdict of pass or fail is wrong: at most {error_rate} % ({correction})."


def next_command(record: Record) -> str:
    """The command that shows the most urgent finding, else the one that repeats the audit.

    FOLDER stands for the audit's folder. A code that is not three letters and three digits is never put into it.
    """
    first = most_urgent(record)
    if first is not None and re.fullmatch(r"[A-Z]{3}\d{3}", first.code, re.ASCII):
        return f"assay show {first.code} --run FOLDER"
    return record.reproduce
