# SPDX-License-Identifier: Apache-2.0
"""How serious a failed check is, by one rule that every page prints."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from assay.nouns.results.finding import Finding

if TYPE_CHECKING:
    from assay.nouns.catalogue import Check

Severity = Literal["", "low", "medium", "high"]
"""How serious a failed check is; empty for every other verdict, and for checks without a limit of severity."""

WIDE, NARROW, SMALL_EXCESS = 0.1, 0.05, 0.25

RULE = (
    f"High: the limit of the interval nearest to the threshold lies beyond the check's limit of severity, and at least "
    f"{WIDE:.0%} of the rows are affected. Low: under {NARROW:.0%} of the rows are affected, or that limit lies less "
    f"than {SMALL_EXCESS:.0%} of the way from the threshold to the limit of severity. Medium: all others. The estimate "
    f"takes the place of the limit where there is no interval, and where a check must be shown to pass."
)
"""The rule as text."""


def severity_of(finding: Finding, check: Check | None) -> Severity:
    """The severity of a failed check by ``RULE``: from the cautious limit of its interval and the share of rows.

    A limit of severity on the passing side of the threshold used (an option can move it) makes every failure of a wide
    share "high".
    """
    if finding.verdict != "fail" or check is None or check.severe is None or finding.threshold is None:
        return ""
    excess = severity_excess(finding, check.severe, cautious=check.undecided_from is None)
    if math.isnan(excess):
        return ""
    if finding.affected < NARROW or excess < SMALL_EXCESS:
        return "low"
    return "high" if excess >= 1 and finding.affected >= WIDE else "medium"


def severity_excess(finding: Finding, severe: float, *, cautious: bool = True) -> float:
    """How far the limit of the interval nearest to the threshold lies past it: 0 at the threshold, 1 at ``severe``.

    Not ``cautious``: how far the estimate lies past it.
    """
    assert finding.threshold is not None
    sign = 1 if finding.direction == "at most" else -1
    near = finding.estimate if finding.interval is None or not cautious else _near_limit(finding)
    past, whole = sign * (near - finding.threshold), sign * (severe - finding.threshold)
    if whole <= 0:
        return math.inf if past > 0 else 0.0
    return past / whole


def _near_limit(finding: Finding) -> float:
    assert finding.interval is not None
    return finding.interval.low if finding.direction == "at most" else finding.interval.high
