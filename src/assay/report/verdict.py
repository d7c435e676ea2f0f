# SPDX-License-Identifier: Apache-2.0
"""The audit in plain words: what may be relied on, which faults were found, what was counted. No overall score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.nouns.record import Record
from assay.nouns.result import Finding, Verdict
from assay.report.words import VERDICTS, counted, listed

TRUST = "TRU"
"""Codes that start so are verdicts on an explanation as a whole."""


@dataclass(frozen=True)
class Saying:
    """One sentence and the tone of its icon."""

    tone: str
    text: str


@dataclass(frozen=True)
class Count:
    """How many findings had a verdict."""

    tone: str
    count: int
    word: str


@dataclass(frozen=True)
class Summary:
    """The top of the page."""

    tone: str
    headline: str
    sayings: tuple[Saying, ...]
    counts: tuple[Count, ...]
    following: str


def summary(record: Record) -> Summary:
    """Headline, one sentence a verdict, counts, and the advice of the worst finding."""
    trust = [f for f in record.findings if f.code.startswith(TRUST)]
    model = [f for f in record.findings if not f.code.startswith(TRUST) and f.subject not in record.explanations]
    faults = [f for f in model if f.verdict == "fail"]
    ordered = worst_first(record)
    advised = [f for f in ordered if f.verdict in ("error", "fail", "undecided") and f.advice]
    return Summary(
        tone=VERDICTS[ordered[0].verdict].tone if ordered else "skipped",
        headline=_headline(trust, model, faults),
        sayings=(*_trusted(trust), *(Saying("fail", _cited(f)) for f in faults), *_open(model)),
        counts=_counts(record),
        following=f"{advised[0].advice} ({advised[0].code}, {advised[0].subject})" if advised else "",
    )


def worst_first(record: Record) -> list[Finding]:
    """Findings by verdict; within one, faults of the model before verdicts on explanations before single tests."""
    ranks = list(VERDICTS)

    def key(finding: Finding) -> tuple[int, int, str, str]:
        kind = 1 if finding.code.startswith(TRUST) else 2 if finding.subject in record.explanations else 0
        return ranks.index(finding.verdict), kind, finding.code, finding.subject

    return sorted(record.findings, key=key)


def _headline(trust: Sequence[Finding], model: Sequence[Finding], faults: Sequence[Finding]) -> str:
    relied = sum(f.verdict == "pass" for f in trust)
    if not trust:
        first = "No explanation was judged"
    elif not relied:
        first = f"None of {counted(len(trust), 'explanation')} can be relied on"
    elif relied == len(trust):
        first = f"All {len(trust)} explanations can be relied on" if relied > 1 else "The explanation can be relied on"
    else:
        first = f"{relied} of {len(trust)} explanations can be relied on"
    if faults:
        second = f"{counted(len(faults), 'fault was', 'faults were')} found in the model"
    elif any(f.verdict in ("pass", "undecided", "informative") for f in model):
        second = "no fault was found in the model by the checks that ran"
    else:
        second = "the model itself was not checked for faults"
    return f"{first}; {second}."


def _trusted(trust: Sequence[Finding]) -> list[Saying]:
    forms: dict[Verdict, str] = {
        "pass": "Rely on {}.",
        "undecided": "Use {} with care.",
        "fail": "Do not rely on {}.",
    }
    sayings = []
    for verdict, form in forms.items():
        names = [f.subject for f in trust if f.verdict == verdict]
        if names:
            sayings.append(
                Saying(VERDICTS[verdict].tone, form.format(listed(names, "or" if verdict == "fail" else "and")))
            )
    rest = [f.subject for f in trust if f.verdict not in forms]
    return [*sayings, Saying("skipped", f"Not judged: {listed(rest)}.")] if rest else sayings


def _open(model: Sequence[Finding]) -> list[Saying]:
    return [Saying("undecided", f"Not decided: {_cited(f)}") for f in model if f.verdict == "undecided"]


def _cited(finding: Finding) -> str:
    return f"{finding.claim.rstrip('.')} ({finding.code})."


def _counts(record: Record) -> tuple[Count, ...]:
    found: dict[Verdict, int] = {verdict: sum(f.verdict == verdict for f in record.findings) for verdict in VERDICTS}
    found["not run"] += len(record.not_run) + len(record.refusals)
    always: tuple[Verdict, ...] = ("fail", "undecided", "pass", "informative", "not run")
    shown: list[Verdict] = [*always, *(verdict for verdict in VERDICTS if verdict not in always and found[verdict])]
    return tuple(Count(VERDICTS[verdict].tone, found[verdict], VERDICTS[verdict].many) for verdict in shown)
