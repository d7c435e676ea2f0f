# SPDX-License-Identifier: Apache-2.0
"""All checks of an audit judged together, so that the chance of any wrong verdict is what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assay.basics.paired_tests import rows_to_decide
from assay.nouns.results.result import Finding, judge


def judged_together(findings: Sequence[Finding], level: float = 0.95) -> list[Finding]:
    """The findings with the verdicts and intervals of Holm's step-down procedure over all that can be judged.

    With m checks left, each is held to its interval at level 1 − (1 − level)/m; those that this decides leave, and the
    rest are held to the wider chance that is now theirs, until no more are decided. The chance that any pass or fail is
    wrong is at most 1 − ``level`` in all, however the checks depend on one another, where each interval covers at its
    level. Every finding keeps the interval that its verdict was read from, and what it would have had ``alone``.
    Findings without a basis (informative ones, errors) stay as they are.
    """
    open_checks = [place for place, finding in enumerate(findings) if _is_judged(finding)]
    settled = list(findings)
    while open_checks:
        each = 1 - (1 - level) / len(open_checks)
        decided = []
        for place in open_checks:
            settled[place] = _held_to(findings[place], each, level)
            if settled[place].verdict != "undecided":
                decided.append(place)
        if not decided:
            break
        open_checks = [place for place in open_checks if place not in decided]
    return settled


def count_judged(findings: Sequence[Finding]) -> int:
    """How many checks share the chance of a wrong verdict."""
    return sum(map(_is_judged, findings))


def _is_judged(finding: Finding) -> bool:
    return (
        finding.basis is not None
        and finding.threshold is not None
        and finding.direction != ""
        and finding.verdict in ("pass", "fail", "undecided")
    )


def _held_to(finding: Finding, each: float, level: float) -> Finding:
    assert finding.basis is not None
    assert finding.threshold is not None
    assert finding.direction != ""
    interval = finding.basis.at(each)
    held = replace(
        finding,
        interval=interval,
        alone=finding.basis.at(level),
        verdict=judge(interval, finding.threshold, finding.direction),
        more=None,
    )
    return replace(held, more=rows_missing(held)) if held.verdict == "undecided" else held


def rows_missing(finding: Finding) -> int | None:
    """How many further rows would decide the check, if the estimate stayed: intervals shrink with the root of n.

    ``None`` where that is unknown, or more than a thousand times the rows there are: the estimate is the threshold.
    """
    interval, threshold = finding.interval, finding.threshold
    if interval is None or threshold is None or not finding.n:
        return None
    return rows_to_decide(finding.estimate, interval, threshold, finding.n)
