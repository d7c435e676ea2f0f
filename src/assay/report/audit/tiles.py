# SPDX-License-Identifier: Apache-2.0
"""The four numbers at the top of the page, the scope of the audit, and the next command."""

from __future__ import annotations

import re
from dataclasses import dataclass

from assay.nouns.records.record import Record
from assay.nouns.results.finding import Verdict
from assay.report.audit.summary import (
    TRUST,
    count_checks,
    faults,
    model_findings,
    most_urgent,
    undecided_explanation_checks,
)
from assay.report.drawing.formatting import format_count, format_number, join_names, method_name
from assay.report.findings.waivers import is_waived, waiver_coverages

NOT_TESTED = "not tested"
"""The note of a tile about which nothing was tested."""

TESTED: tuple[Verdict, ...] = ("pass", "fail", "undecided")
"""Verdicts of checks that compare something with a threshold."""

MADE: tuple[Verdict, ...] = ("fail", "undecided", "rejected", "pass", "informative")
"""Verdicts of checks that were made."""


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
    """Explanations, attacks, faults and waivers."""
    return _explanations(record), _attacks(record), _faults(record), _waivers(record)


def _explanations(record: Record) -> Tile:
    trust = [f for f in record.findings if f.code.startswith(TRUST)]
    usable = sum(f.verdict in ("pass", "informative") for f in trust)
    care = sum(f.verdict == "informative" for f in trust)
    undecided = sum(f.verdict == "undecided" for f in trust)
    if not trust:
        return Tile("skipped", "–", "", "explanations can be used", NOT_TESTED, "scores")
    notes = [f"{care} with care"] * bool(care) + [f"{undecided} undecided"] * bool(undecided)
    notes = notes or ["the others are rejected" if usable < len(trust) else "all are faithful"]
    still_open = len(undecided_explanation_checks(record))
    notes += [f"{still_open} of their checks undecided"] * bool(still_open)
    note = ", ".join(notes)
    tone = "pass" if usable else "undecided" if undecided else "fail"
    return Tile(tone, str(usable), f"of {len(trust)}", "explanations can be used", note, "scores")


def _attacks(record: Record) -> Tile:
    results = record.attack_results
    rows = {name: int((one.success & one.prediction_unchanged).sum()) for name, one in results.items()}
    successful = sum(count > 0 for count in rows.values())
    name = "successful explanation attacks"
    if not results:
        return Tile("skipped", "–", "", name, NOT_TESTED, "attacks")
    worst = max(rows, key=lambda one: rows[one] / max(1, len(results[one].ids)))
    verdicts = {f.verdict for f in record.findings if f.code.startswith("ATK") and f.subject == worst}
    check = next((text for verdict, text in ATTACK_CHECKS.items() if verdict in verdicts), "")
    of = format_count(len(results[worst].ids), "row")
    note = (
        f"{method_name(worst)}: on {rows[worst]:,} of {of}, same predicted class{check}" if successful else "on no row"
    )
    tone = ("info" if verdicts == {"pass"} else "undecided") if successful else "pass"
    return Tile(tone, str(successful), f"of {len(results)}", name, note, "attacks")


ATTACK_CHECKS: dict[Verdict, str] = {
    "fail": "; check failed",
    "rejected": "; check failed",
    "undecided": "; check undecided",
    "pass": "; check passed",
}
"""Verdicts on the attack of one explanation, worst first, as text."""


def _faults(record: Record) -> Tile:
    """The faults that the headline counts; the note has the undecided checks of the model."""
    model, found = model_findings(record), faults(record)
    name = "faults found"
    if not found and not any(f.verdict in TESTED for f in model):
        return Tile("skipped", "–", "", name, NOT_TESTED, "findings")
    waived = sum(is_waived(record, f) for f in model if f.verdict in ("fail", "error"))
    undecided = sum(f.verdict == "undecided" for f in model)
    notes = [f"{waived} waived"] * bool(waived) + [f"{format_count(undecided, 'check')} undecided"] * bool(undecided)
    unchecked = any(item.what == "diagnose.performance" for item in record.not_run)
    notes += ["the model's quality was not checked"] * unchecked
    tone = "fail" if found else "undecided" if waived or undecided or unchecked else "pass"
    return Tile(tone, str(len(found)), "", name, ", ".join(notes) or "no check undecided", "findings")


def _waivers(record: Record) -> Tile:
    waivers = waiver_coverages(record)
    expired = sum(waiver.is_expired for waiver in waivers)
    unused = sum(not waiver.covered for waiver in waivers)
    notes = [f"{format_count(expired, 'waiver')} expired"] * bool(expired) + [f"{unused} unused"] * bool(unused)
    tone = "undecided" if expired else "info" if waivers else "skipped"
    note = ", ".join(notes) or ("all waivers in force" if waivers else "no waivers")
    return Tile(tone, str(sum(is_waived(record, f) for f in record.findings)), "", "findings waived", note, "waivers")


def describe_scope(record: Record) -> str:
    """How many checks there are and how many were made, and the probability that any of their verdicts is wrong."""
    counts = count_checks(record)
    made = sum(counts[verdict] for verdict in MADE)
    parts = [f"{made} made"] + [f"{counts['not run']} not run (see Not checked)"] * bool(counts["not run"])
    parts += [f"{counts['not applicable']} not applicable"] * bool(counts["not applicable"])
    parts += [format_count(counts["error"], "error")] * bool(counts["error"])
    first = f"{format_count(sum(counts.values()), 'check')} in all: {join_names(parts)}."
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
