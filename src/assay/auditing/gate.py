# SPDX-License-Identifier: Apache-2.0
"""Whether a run may pass: everything that is not known to be well stops it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from assay.auditing.run import WORST_FIRST, Run
from assay.nouns.records.record import check_of, waived
from assay.nouns.results.result import Finding

FailOn = Literal["fail", "undecided", "never"]
OK, FINDINGS, INCOMPLETE, NOTHING = 0, 1, 3, 5
"""Exit codes of a gate; of several that hold, incomplete is told before findings."""

DECIDED = ("pass", "fail")
UNMADE = ("error", "not run", "not applicable")


@dataclass(frozen=True)
class Gate:
    """``exit`` is the exit code, ``reasons`` what led to it and what was let through, ``counts`` findings a verdict.

    ``notes`` are the reasons that a list of the findings does not show: what is missing, accepted, or no longer so.
    """

    exit: int
    reasons: tuple[str, ...]
    counts: Mapping[str, int]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing stops the run."""
        return self.exit == OK


def gated(
    run: Run,
    *,
    fail_on: FailOn = "fail",
    require: Sequence[str] = (),
    ignore: Sequence[str] = (),
    day: str = "",
    baseline: Run | None = None,
) -> Gate:
    """Judge a run. It fails closed: what is required and not known counts as incomplete.

    ``require`` holds beginnings of codes that must have been made, ignored or not. ``day`` is the day on which waivers
    are looked at, by default today. What failed in the ``baseline`` already is told and does not fail; what the
    baseline decided and this run did not make is incomplete.
    """
    today = day or datetime.datetime.now(datetime.UTC).date().isoformat()
    kept = [f for f in run.findings if not any(map(f.code.startswith, ignore))]
    counts: dict[str, int] = {verdict: sum(f.verdict == verdict for f in kept) for verdict in WORST_FIRST}
    counts = {verdict: count for verdict, count in counts.items() if count}
    if not kept:
        return Gate(NOTHING, ("nothing was selected: the run has no finding that counts",), counts)
    standing = [f for f in kept if waived(f, run.record.waivers, today) is None]
    broken = [_said(f, "could not be made") for f in standing if f.verdict == "error"]
    missing = [*_unmet(run.findings, require), *(_lost(kept, run, baseline, ignore) if baseline is not None else ())]
    counting = {"never": (), "fail": ("fail",), "undecided": ("fail", "undecided")}[fail_on]
    known = _known(baseline)
    faults = [f for f in standing if f.verdict in counting]
    new = [f for f in faults if known.get(check_of(run.record, f)) not in (f.verdict, "fail")]
    old = [_said(f, f"{f.verdict}, as in the baseline") for f in faults if f not in new]
    ended = [_said(f, f.verdict) + end for f in new if (end := _ended(f, run, today))]
    plain = [_said(f, f.verdict) for f in new if not _ended(f, run, today)]
    accepted = _accepted(kept, run, today)
    code = INCOMPLETE if broken or missing else FINDINGS if new else OK
    reasons = (*missing, *broken, *ended, *plain, *old, *accepted)
    return Gate(code, reasons, counts, (*missing, *ended, *accepted))


def _said(finding: Finding, what: str) -> str:
    about = f" ({finding.subject})" if finding.subject else ""
    return f"{finding.code}{about} {what}: {finding.claim}"


def _known(baseline: Run | None) -> dict[tuple[str, str], str]:
    """The verdict of each check of the baseline, the worst where there are several."""
    return {} if baseline is None else {check_of(baseline.record, f): f.verdict for f in reversed(baseline.findings)}


def _unmet(findings: Sequence[Finding], require: Sequence[str]) -> list[str]:
    """Why a required check is not known; one sentence for each beginning of a code."""
    reasons = []
    for start in require:
        held = [f for f in findings if f.code.startswith(start)]
        broken = [f for f in held if f.verdict in ("error", "not run")]
        if not held:
            reasons.append(f"{start} is required and was not made")
        elif broken:
            reasons.append(f"{start} is required: {_said(broken[0], broken[0].verdict)}")
        elif all(f.verdict in UNMADE for f in held):
            reasons.append(f"{start} is required: {_said(held[0], held[0].verdict)}")
    return reasons


def _lost(kept: Sequence[Finding], run: Run, baseline: Run, ignore: Sequence[str]) -> list[str]:
    """Checks that the baseline decided and this run did not make."""
    made = {check_of(run.record, f) for f in kept if f.verdict not in UNMADE}
    decided = [f for f in baseline.findings if f.verdict in DECIDED and not any(map(f.code.startswith, ignore))]
    return [
        f"{f.code} ({f.subject}) was decided in the baseline ({f.verdict}) and not in this run"
        for f in decided
        if check_of(baseline.record, f) not in made
    ]


def _ended(finding: Finding, run: Run, today: str) -> str:
    """That a waiver covered this finding once, and no longer does."""
    for waiver in run.record.waivers:
        if waiver.until < today and waiver.covers(finding, waiver.until):
            return f" — the waiver of {waiver.owner} ended on {waiver.until}"
    return ""


def _accepted(kept: Sequence[Finding], run: Run, today: str) -> list[str]:
    reasons = []
    for finding in kept:
        waiver = waived(finding, run.record.waivers, today) if finding.verdict in ("fail", "error") else None
        if waiver is not None:
            reasons.append(
                f"{_said(finding, finding.verdict)} — accepted by {waiver.owner} until {waiver.until}: {waiver.reason}"
            )
    return reasons
