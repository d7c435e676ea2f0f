# SPDX-License-Identifier: Apache-2.0
"""Failing checks that somebody answers for: which are accepted on the audit's day, and which no longer are."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal

from assay.nouns.records.record import Record, Waiver, waived
from assay.nouns.results.result import Finding

FAILING = ("fail", "error")


@dataclass(frozen=True)
class Acceptance:
    """A waiver as it stands to a finding."""

    waiver: Waiver
    state: Literal["accepted", "expired"]

    @property
    def told(self) -> str:
        """The waiver in words."""
        waiver = self.waiver
        if self.state == "accepted":
            return f"accepted until {waiver.until} by {waiver.owner}: {waiver.reason}"
        return f"no longer accepted: the waiver of {waiver.owner} expired after {waiver.until} ({waiver.reason})"


@dataclass(frozen=True)
class Risk:
    """A waiver and how many failing findings it covers on the audit's day, or covered before it expired."""

    waiver: Waiver
    expired: bool
    covered: int


def day_of(record: Record) -> str:
    """The day of the audit (2027-01-31); empty where it was not recorded, and then nothing counts as accepted."""
    day = record.times.get("when", "")[:10]
    try:
        return datetime.date.fromisoformat(day).isoformat()
    except ValueError:
        return ""


def acceptance(record: Record, finding: Finding) -> Acceptance | None:
    """How a failing finding stands to the waivers; ``None`` where none was ever given for it."""
    if finding.verdict not in FAILING:
        return None
    day = day_of(record)
    waiver = waived(finding, record.waivers, day) if day else None
    if waiver is not None:
        return Acceptance(waiver, "accepted")
    past = [w for w in record.waivers if day and w.covers(finding, w.until)]
    return Acceptance(past[0], "expired") if past else None


def accepted(record: Record, finding: Finding) -> bool:
    """Whether somebody answers for this failing finding on the audit's day."""
    found = acceptance(record, finding)
    return found is not None and found.state == "accepted"


def risks(record: Record) -> list[Risk]:
    """Every waiver, in the order given."""
    day = day_of(record)
    failing = [finding for finding in record.findings if finding.verdict in FAILING]
    return [
        Risk(waiver, bool(day) and waiver.until < day, sum(waiver.covers(f, waiver.until) for f in failing))
        for waiver in record.waivers
    ]
