# SPDX-License-Identifier: Apache-2.0
"""Joint verdicts of all checks of an audit, with a bound on the probability of any wrong verdict."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.paired_tests import MAX_TIMES, rows_to_decide
from assay.basics.stats import Interval
from assay.engine.check_findings import advice_for
from assay.engine.fairness.further_rows import rows_to_decide_rates
from assay.engine.robustness.further_rows import rows_to_decide_bracket, upper_rate_interval
from assay.nouns.catalogue import ONLY_GIVEN, check_named
from assay.nouns.results.finding import Finding, Verdict, judge
from assay.nouns.results.severity import severity_of

UNDECIDED_ADVICE = "Give more rows: the interval, corrected for multiple testing, contains the threshold."
"""The advice of a check that only its own, uncorrected interval decides."""


def judge_jointly(findings: Sequence[Finding], level: float = 0.95) -> list[Finding]:
    """The findings with verdicts and intervals of Holm's step-down procedure over all testable checks.

    With m checks left, each is tested with its interval at level 1 − (1 − level)/m; decided checks are removed, and the
    rest are tested again with the smaller m, until no further check is decided. The probability that any pass or fail
    is wrong is at most 1 − ``level`` in all, for any dependence between the checks, where each interval covers at its
    level. Every finding has the interval of its verdict, and as ``alone`` the one it would have as the only check.
    Findings without a basis (informative ones, errors) keep their verdict. Every threshold gets its origin, and the
    advice of every undecided check the number of further rows that would decide it.
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
    return [_with_size(_with_further_rows(_with_origin(finding))) for finding in settled]


def _with_size(finding: Finding) -> Finding:
    """The finding with its severity, and with the smallest failure that this many rows would show."""
    severity = severity_of(finding, check_named(finding.code))
    return replace(finding, severity=severity, detectable=smallest_detectable(finding))


POWER = 0.8
"""Share of samples in which the smallest detectable estimate is shown to fail."""


def smallest_detectable(finding: Finding) -> float | None:
    """The true value on the failing side that four of five samples of this size show to fail.

    threshold ± (z + z′) · s with the standard error s = width / 2z of the interval at the level of the verdict, z its
    two-sided quantile and z′ that of the power: an approximation by a normal estimate of constant standard error.
    ``None`` without a threshold or an interval.
    """
    interval, threshold = finding.interval, finding.threshold
    if interval is None or threshold is None or not finding.direction or finding.basis is None:
        return None
    if finding.basis.how == "bracket" and finding.direction == "at least":
        interval = upper_rate_interval(finding.basis, interval.level)
    z, power = (float(scipy_stats.norm.ppf(share)) for share in (0.5 + interval.level / 2, POWER))
    reach = (interval.high - interval.low) / 2 * (1 + power / z)
    return threshold + reach if finding.direction == "at most" else threshold - reach


def drop_disproved(findings: Sequence[Finding]) -> list[Finding]:
    """The findings in which checks that assume what another check disproves are not applicable, with that reason."""
    failed = {finding.code: finding for finding in findings if finding.verdict == "fail"}
    return [_without_assumption(finding, failed) for finding in findings]


def _without_assumption(finding: Finding, failed: Mapping[str, Finding]) -> Finding:
    check = check_named(finding.code)
    broken = next((failed[code] for code in (check.assumes if check else ()) if code in failed), None)
    if broken is None or finding.verdict in ("not applicable", "not run", "error"):
        return finding
    return replace(
        finding,
        verdict="not applicable",
        claim=f"Not judged: it assumes that {broken.code} does not fail. {broken.claim}",
        estimate=float("nan"),
        interval=None,
        threshold=None,
        direction="",
        null=None,
        basis=None,
        more=None,
        advice=f"Repeat the check on data for which {broken.code} does not fail. {broken.advice}",
        evidence={"without this assumption": finding.claim},
    )


def _with_origin(finding: Finding) -> Finding:
    """The finding with the origin of its threshold."""
    check = check_named(finding.code)
    if finding.threshold is None or finding.threshold_origin or check is None:
        return finding
    return replace(finding, threshold_origin=check.origin if finding.threshold == check.threshold else "option")


def with_thresholds(
    findings: Sequence[Finding], thresholds: Mapping[str, float], origins: Mapping[str, str]
) -> list[Finding]:
    """The findings with other thresholds, by code; ``origins`` says where these come from (default: "given").

    A finding without a basis that has a threshold is a fact without a sampling error: its estimate decides.
    """
    return [
        _with_threshold(f, thresholds[f.code], origins.get(f.code, "given")) if f.code in thresholds else f
        for f in findings
    ]


def _with_threshold(finding: Finding, threshold: float, origin: str) -> Finding:
    check = check_named(finding.code)
    if check is not None and check.origin == ONLY_GIVEN and finding.basis is not None:
        return replace(
            finding, verdict="undecided", threshold=threshold, threshold_origin=origin, direction=check.direction
        )
    if finding.threshold is None or not finding.direction or finding.verdict not in ("pass", "fail", "undecided"):
        return finding
    changed = replace(finding, threshold=threshold, threshold_origin=origin)
    if finding.basis is not None:
        return changed
    exact = Interval(finding.estimate, finding.estimate, 1.0, "exact")
    verdict = judge(exact, threshold, finding.direction)
    return replace(changed, verdict=verdict, advice=_advice(finding, verdict))


def check_thresholds(thresholds: Mapping[str, float]) -> dict[str, float]:
    """The thresholds by code; raises ``InputError`` for an unknown code, a check without one, and values not finite."""
    for code, value in thresholds.items():
        check = check_named(code)
        if check is None:
            raise InputError(f"thresholds: there is no check {code!r}. See the codes with: assay list --checks")
        if check.threshold is None:
            raise InputError(f"thresholds: {code} has no threshold: {check.question} It informs and never fails.")
        if not math.isfinite(value):
            raise InputError(
                f"thresholds: {code} = {value!r}; a finite number is needed (default {check.threshold:g})."
            )
    return dict(thresholds)


def _advice(finding: Finding, verdict: Verdict) -> str:
    """The advice of a finding at another verdict than the one it was made with."""
    check = check_named(finding.code)
    if verdict == finding.verdict:
        return finding.advice
    if verdict == "undecided" or check is None:
        return UNDECIDED_ADVICE
    return advice_for(check, verdict)


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
    check = check_named(finding.code)
    undecided_from = None if check is None else check.undecided_from
    verdict = judge(interval, finding.threshold, finding.direction, undecided_from)
    return replace(
        finding,
        interval=interval,
        alone=finding.basis.at(level),
        verdict=verdict,
        advice=_advice(finding, verdict),
        more=None,
    )


def _with_further_rows(finding: Finding) -> Finding:
    """The finding with the number of further rows where they would decide it."""
    if finding.verdict != "undecided" or not _is_judged(finding):
        return finding
    counted = replace(finding, more=further_rows_needed(finding))
    return replace(counted, advice=_advice_with_rows(counted))


ACCEPT = "accept that it stays open, or set another threshold in the plan before looking at further rows"
"""What is left to do where no practical number of rows decides."""

_ROWS = re.compile(r" ?(About [\d,]+ more rows? would decide|Practically undecidable with this data).*$", re.DOTALL)


def _advice_with_rows(finding: Finding) -> str:
    """The advice of an undecided check with the number of further rows, in place of that of an earlier verdict."""
    if finding.is_practically_undecidable:
        return f"Practically undecidable with this data: {_rows_needed(finding)}; {ACCEPT}."
    base = _ROWS.sub("", finding.advice) or UNDECIDED_ADVICE
    if finding.more is None:
        return base
    rows = "row" if finding.more == 1 else "rows"
    return f"{base} About {finding.more:,} more {rows} would decide it in four of five samples."


def _rows_needed(finding: Finding) -> str:
    if finding.more is None:
        return f"no number of further rows up to {MAX_TIMES:,} times the {finding.n:,} given is shown to decide it"
    times = finding.more / finding.n
    return f"about {finding.more:,} more rows would be needed, {times:.0f} times the {finding.n:,} given"


def further_rows_needed(finding: Finding) -> int | None:
    """Number of further rows with which at least 80 % of audits decide the check at the level of its interval.

    See ``rows_to_decide``; where rates of several groups are compared, ``rows_to_decide_rates``. ``None`` where it is
    unknown, or more than a thousand times the present rows: the estimate is near the threshold.
    """
    interval, threshold = finding.interval, finding.threshold
    if interval is None or threshold is None or not finding.n:
        return None
    basis = finding.basis
    if basis is not None and basis.how in ("pairs", "ratios") and "part" not in basis.data:
        return rows_to_decide_rates(basis, interval.level, threshold)
    if basis is not None and basis.how == "bracket":
        return rows_to_decide_bracket(basis, interval.level, threshold)
    return rows_to_decide(finding.estimate, interval, threshold, finding.n)
