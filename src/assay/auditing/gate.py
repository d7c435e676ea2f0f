# SPDX-License-Identifier: Apache-2.0
"""The gate: an exit code from the findings of a run. Whatever is required and not shown to pass stops the run."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from assay.auditing.run import WORST_FIRST, Run
from assay.nouns.records.record import check_key, find_waiver
from assay.nouns.results.finding import Finding

FailOn = Literal["fail", "undecided", "never"]
OK, FINDINGS, INCOMPLETE, NOTHING = 0, 1, 3, 5
"""Exit codes of a gate; where several apply, incomplete precedes findings."""

DECIDED = ("pass", "fail")
NOT_MADE = ("error", "not run", "not applicable")


@dataclass(frozen=True)
class Gate:
    """Result of a gate: exit code, reasons for it and for what was allowed, and the number of findings by verdict.

    ``notes`` are the reasons that a list of the findings does not show: missing checks, waivers, and ended waivers.
    """

    exit: int
    reasons: tuple[str, ...]
    counts: Mapping[str, int]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing stops the run."""
        return self.exit == OK


def evaluate_gate(
    run: Run,
    *,
    fail_on: FailOn = "fail",
    require: Sequence[str] = (),
    ignore: Sequence[str] = (),
    day: str = "",
    baseline: Run | None = None,
) -> Gate:
    """Evaluate the gate of a run. It fails closed: a required check without a verdict counts as incomplete.

    ``require`` holds beginnings of codes that must have been made, ignored or not. ``day`` is the day for which waivers
    are checked, by default today. What already failed in the ``baseline`` is reported and does not fail; a check that
    the baseline decided and this run did not make is incomplete.
    """
    today = day or datetime.datetime.now(datetime.UTC).date().isoformat()
    selected = [f for f in run.findings if not any(map(f.code.startswith, ignore))]
    counts: dict[str, int] = {verdict: sum(f.verdict == verdict for f in selected) for verdict in WORST_FIRST}
    counts = {verdict: count for verdict, count in counts.items() if count}
    if not selected:
        return Gate(NOTHING, ("nothing selected: the run has no finding left",), counts)
    unwaived = [f for f in selected if find_waiver(f, run.record.waivers, today) is None]
    errors = [_sentence(f, "failed with an error") for f in unwaived if f.verdict == "error"]
    missing = [
        *_unmet_requirements(run.findings, require),
        *(_lost_checks(selected, run, baseline, ignore) if baseline is not None else ()),
    ]
    counting = {"never": (), "fail": ("fail",), "undecided": ("fail", "undecided")}[fail_on]
    previous = _baseline_verdicts(baseline)
    failures = [f for f in unwaived if f.verdict in counting]
    new = [f for f in failures if previous.get(check_key(run.record, f)) not in (f.verdict, "fail")]
    old = [_sentence(f, f"{f.verdict}, as in the baseline") for f in failures if f not in new]
    ended = [_sentence(f, f.verdict) + end for f in new if (end := _ended_waiver(f, run, today))]
    others = [_sentence(f, f.verdict) for f in new if not _ended_waiver(f, run, today)]
    waived = _waived_findings(selected, run, today)
    code = INCOMPLETE if errors or missing else FINDINGS if new else OK
    reasons = (*missing, *errors, *ended, *others, *old, *waived)
    return Gate(code, reasons, counts, (*missing, *ended, *waived))


def _sentence(finding: Finding, what: str) -> str:
    about = f" ({finding.subject})" if finding.subject else ""
    return f"{finding.code}{about} {what}: {finding.claim}"


def _baseline_verdicts(baseline: Run | None) -> dict[tuple[str, str], str]:
    """The verdict of each check of the baseline, the worst where there are several."""
    return {} if baseline is None else {check_key(baseline.record, f): f.verdict for f in reversed(baseline.findings)}


def _unmet_requirements(findings: Sequence[Finding], require: Sequence[str]) -> list[str]:
    """Why a required check has no verdict; one sentence per beginning of a code."""
    reasons = []
    for start in require:
        found = [f for f in findings if f.code.startswith(start)]
        not_made = [f for f in found if f.verdict in ("error", "not run")]
        if not found:
            reasons.append(f"{start} is required and was not run")
        elif not_made:
            reasons.append(f"{start} is required: {_sentence(not_made[0], not_made[0].verdict)}")
        elif all(f.verdict in NOT_MADE for f in found):
            reasons.append(f"{start} is required: {_sentence(found[0], found[0].verdict)}")
    return reasons


def _lost_checks(selected: Sequence[Finding], run: Run, baseline: Run, ignore: Sequence[str]) -> list[str]:
    """Checks that the baseline decided and this run did not make."""
    made = {check_key(run.record, f) for f in selected if f.verdict not in NOT_MADE}
    decided = [f for f in baseline.findings if f.verdict in DECIDED and not any(map(f.code.startswith, ignore))]
    return [
        f"{f.code} ({f.subject}) was decided in the baseline ({f.verdict}) and not in this run"
        for f in decided
        if check_key(baseline.record, f) not in made
    ]


def _ended_waiver(finding: Finding, run: Run, today: str) -> str:
    """Text that a waiver covered this finding and has ended; empty where none did."""
    for waiver in run.record.waivers:
        if waiver.until < today and waiver.covers(finding, waiver.until):
            return f" — the waiver of {waiver.owner} ended on {waiver.until}"
    return ""


def _waived_findings(selected: Sequence[Finding], run: Run, today: str) -> list[str]:
    reasons = []
    for finding in selected:
        waiver = find_waiver(finding, run.record.waivers, today) if finding.verdict in ("fail", "error") else None
        if waiver is not None:
            sentence = _sentence(finding, finding.verdict)
            reasons.append(f"{sentence} — accepted by {waiver.owner} until {waiver.until}: {waiver.reason}")
    return reasons
