# SPDX-License-Identifier: Apache-2.0
"""Waivers: which failing checks are accepted on the day of the audit, and which waivers have expired."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal

from assay.nouns.records.record import Record, Waiver, find_waiver
from assay.nouns.results.finding import Finding

FAILING = ("fail", "error")


@dataclass(frozen=True)
class WaiverState:
    """The waiver of a finding, and whether it is in force on the day of the audit."""

    waiver: Waiver
    state: Literal["waived", "expired"]

    @property
    def text(self) -> str:
        """The waiver in one sentence."""
        waiver = self.waiver
        if self.state == "waived":
            return f"waived until {waiver.until} by {waiver.owner}: {waiver.reason}"
        return f"waiver expired after {waiver.until} (owner {waiver.owner}): {waiver.reason}"


@dataclass(frozen=True)
class WaiverCoverage:
    """A waiver, and how many failing findings it covers on the day of the audit (or covered before it expired)."""

    waiver: Waiver
    is_expired: bool
    covered: int


def day_of(record: Record) -> str:
    """The day of the audit (2027-01-31); empty where it was not recorded, and then no finding is waived."""
    day = record.times.get("when", "")[:10]
    try:
        return datetime.date.fromisoformat(day).isoformat()
    except ValueError:
        return ""


def waiver_state(record: Record, finding: Finding) -> WaiverState | None:
    """The waiver of a failing finding and its state; ``None`` where there is no waiver."""
    if finding.verdict not in FAILING:
        return None
    day = day_of(record)
    waiver = find_waiver(finding, record.waivers, day) if day else None
    if waiver is not None:
        return WaiverState(waiver, "waived")
    expired = [w for w in record.waivers if day and w.covers(finding, w.until)]
    return WaiverState(expired[0], "expired") if expired else None


def is_waived(record: Record, finding: Finding) -> bool:
    """Whether a waiver covers this failing finding on the day of the audit."""
    found = waiver_state(record, finding)
    return found is not None and found.state == "waived"


def waiver_coverages(record: Record) -> list[WaiverCoverage]:
    """Every waiver with the number of findings it covers, in the order given."""
    day = day_of(record)
    failing = [finding for finding in record.findings if finding.verdict in FAILING]
    return [
        WaiverCoverage(waiver, bool(day) and waiver.until < day, sum(waiver.covers(f, waiver.until) for f in failing))
        for waiver in record.waivers
    ]
