# SPDX-License-Identifier: Apache-2.0
"""Joint verdicts of all checks of an audit, with a bound on the probability of any wrong verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assay.basics.paired_tests import rows_to_decide
from assay.nouns.results.finding import Finding, judge

UNDECIDED_ADVICE = "Give more rows: the interval, corrected for multiple testing, contains the threshold."
"""The advice of a check that only its own, uncorrected interval decides."""


def judge_jointly(findings: Sequence[Finding], level: float = 0.95) -> list[Finding]:
    """The findings with verdicts and intervals of Holm's step-down procedure over all testable checks.

    With m checks left, each is tested with its interval at level 1 − (1 − level)/m; decided checks are removed, and the
    rest are tested again with the smaller m, until no further check is decided. The probability that any pass or fail
    is wrong is at most 1 − ``level`` in all, for any dependence between the checks, where each interval covers at its
    level. Every finding has the interval of its verdict, and as ``alone`` the one it would have as the only check.
    Findings without a basis (informative ones, errors) are unchanged.
    """
    open_checks = [place for place, finding in enumerate(findings) if _is_judged(finding)]
    settled = list(findings)
    while open_checks:
        each = 1 - (1 - level) / len(open_checks)
        decided = []
        for place in open_checks:
            settled[place] = _judge_at(findings[place], each, level)
            if settled[place].verdict != "undecided":
                decided.append(place)
        if not decided:
            break
        open_checks = [place for place in open_checks if place not in decided]
    return settled


def count_judged(findings: Sequence[Finding]) -> int:
    """Number of checks that share the error probability."""
    return sum(map(_is_judged, findings))


def _is_judged(finding: Finding) -> bool:
    return (
        finding.basis is not None
        and finding.threshold is not None
        and finding.direction != ""
        and finding.verdict in ("pass", "fail", "undecided")
    )


def _judge_at(finding: Finding, each: float, level: float) -> Finding:
    assert finding.basis is not None
    assert finding.threshold is not None
    assert finding.direction != ""
    interval = finding.basis.at(each)
    verdict = judge(interval, finding.threshold, finding.direction)
    judged = replace(
        finding,
        interval=interval,
        alone=finding.basis.at(level),
        verdict=verdict,
        advice=finding.advice if verdict == finding.verdict else UNDECIDED_ADVICE,
        more=None,
    )
    return replace(judged, more=further_rows_needed(judged)) if judged.verdict == "undecided" else judged


def further_rows_needed(finding: Finding) -> int | None:
    """Number of further rows that would decide the check if the estimate stayed; the width falls with the root of n.

    ``None`` where it is unknown, or more than a thousand times the present rows: the estimate equals the threshold.
    """
    interval, threshold = finding.interval, finding.threshold
    if interval is None or threshold is None or not finding.n:
        return None
    return rows_to_decide(finding.estimate, interval, threshold, finding.n)
