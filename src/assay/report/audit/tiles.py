# SPDX-License-Identifier: Apache-2.0
"""The four numbers at the top of the page, and the line that says how far they reach."""

from __future__ import annotations

import re
from dataclasses import dataclass

from assay.nouns.records.record import Record
from assay.report.audit.summary import TRUST, faults, not_run, pressing
from assay.report.audit.waivers import accepted, risks
from assay.report.drawing.formatting import counted, number


@dataclass(frozen=True)
class Tile:
    """A count out of a total (empty where there is none), what it counts, and where to read on."""

    tone: str
    count: str
    total: str
    name: str
    note: str
    place: str


def tiles(record: Record) -> tuple[Tile, ...]:
    """Explanation trust, attacks, faults of the model, accepted risks."""
    return _trust(record), _attacks(record), _faults(record), _accepted(record)


def _trust(record: Record) -> Tile:
    trust = [f for f in record.findings if f.code.startswith(TRUST)]
    failed = sum(f.verdict == "fail" for f in trust)
    care = sum(f.verdict == "informative" for f in trust)
    unsettled = sum(f.verdict == "undecided" for f in trust)
    if not trust:
        return Tile("skipped", "–", "", "explanation trust", "no explanation was judged", "trust")
    notes = [f"{care} with care"] * bool(care) + [f"{unsettled} undecided"] * bool(unsettled)
    note = ", ".join(notes) or ("do not rely on them" if failed else "all may be relied on")
    tone = "fail" if failed else "undecided" if care or unsettled else "pass"
    return Tile(tone, str(failed), f"of {len(trust)}", "explanations failed", note, "trust")


def _attacks(record: Record) -> Tile:
    met = sum(
        bool((attack_result.success & attack_result.kept).any()) for attack_result in record.attack_results.values()
    )
    name = "attacks met their aim, prediction kept"
    if not record.attack_results:
        return Tile("skipped", "–", "", name, "no attack was made", "attacks")
    rows = max(
        int((attack_result.success & attack_result.kept).sum()) for attack_result in record.attack_results.values()
    )
    note = f"on up to {counted(rows, 'row')}" if met else "on no row"
    return Tile("undecided" if met else "pass", str(met), f"of {len(record.attack_results)}", name, note, "attacks")


def _faults(record: Record) -> Tile:
    found = faults(record)
    failed = [f for f in found if f.verdict == "fail"]
    held = sum(accepted(record, f) for f in failed)
    if not found:
        return Tile("skipped", "–", "", "model faults", "the model itself was not checked", "findings")
    undecided = sum(f.verdict == "undecided" for f in found)
    notes = [f"{held} accepted"] * bool(held) + [f"{undecided} undecided"] * bool(undecided)
    tone = "fail" if len(failed) > held else "undecided" if held or undecided else "pass"
    note = ", ".join(notes) or "in the checks that ran"
    return Tile(tone, str(len(failed)), f"of {counted(len(found), 'check')}", "model faults", note, "findings")


def _accepted(record: Record) -> Tile:
    held = risks(record)
    expired = sum(risk.expired for risk in held)
    idle = sum(not risk.covered for risk in held)
    notes = [f"{expired} expired"] * bool(expired) + [f"{idle} covering nothing"] * bool(idle)
    tone = "undecided" if expired else "told" if held else "skipped"
    note = ", ".join(notes) or ("all in force" if held else "no waiver was given")
    return Tile(tone, str(sum(accepted(record, f) for f in record.findings)), "", "findings accepted", note, "accepted")


def scope(record: Record) -> str:
    """How many checks ran, and how often any of their verdicts is wrong."""
    missing = not_run(record)
    ran = sum(f.verdict not in ("not run", "not applicable", "error") for f in record.findings)
    total = len(record.findings) - sum(f.verdict == "not run" for f in record.findings) + missing
    broken = sum(f.verdict == "error" for f in record.findings)
    beside = sum(f.verdict == "not applicable" for f in record.findings)
    parts = [f"{missing} not run (see Not run)"] * bool(missing)
    parts += [f"{beside} not applicable"] * bool(beside) + [f"{counted(broken, 'error')}"] * bool(broken)
    first = f"{ran} of {counted(total, 'check')} ran" + (f"; {', '.join(parts)}." if parts else ".")
    judged = record.cost.get("checks judged together", 0)
    if not judged:
        return f"{first} No verdicts were judged together."
    chance = number(100 * (1 - record.level))
    over = f"Holm over {counted(judged, 'check')}"
    return f"{first} Chance that any verdict of pass or fail is wrong: at most {chance} % ({over})."


def command(record: Record) -> str:
    """What to type next: the finding to look at first, or the audit again. Only codes in the house's form are typed."""
    first = pressing(record)
    if first is not None and re.fullmatch(r"[A-Z]{3}\d{3}", first.code, re.ASCII):
        return f"assay show {first.code}"
    return record.reproduce
