# SPDX-License-Identifier: Apache-2.0
"""The audit in plain words: what may be relied on, which faults were found, what was counted. No overall score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from assay.nouns.records.record import Record
from assay.nouns.results.result import Finding, Verdict
from assay.report.audit.waivers import accepted
from assay.report.drawing.formatting import VERDICTS, counted, listed

TRUST = "TRU"
"""Codes that start so are verdicts on an explanation as a whole."""

SCORES = "SCO"
"""Codes that start so test the scores themselves."""


SAID = 3
"""Findings of one kind that are told in the verdict; all are listed below it."""


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
    model = faults(record)
    failed = [f for f in worst_first(record) if f in model and f.verdict == "fail"]
    held = [f for f in failed if accepted(record, f)]
    standing = [f for f in worst_first(record) if not accepted(record, f)]
    first = pressing(record)
    told = _several("fail", [_cited(f) for f in failed if f not in held])
    return Summary(
        tone=VERDICTS[standing[0].verdict].tone if standing else "skipped",
        headline=_headline(trust, model, len(failed), len(held)),
        sayings=(*_trusted(trust), *told, *_several("told", [f"Accepted: {_cited(f)}" for f in held]), *_open(model)),
        counts=_counts(record),
        following=f"{first.advice} ({first.code}, {first.subject})" if first is not None and first.advice else "",
    )


def faults(record: Record) -> list[Finding]:
    """What was asked about the model itself, not about its explanations."""
    apart = (TRUST, SCORES)
    return [f for f in record.findings if not f.code.startswith(apart) and f.subject not in record.explanations]


def not_run(record: Record) -> int:
    """Checks not run: findings that say so, steps left out, and refused steps that no finding tells."""
    told = sum(f.verdict == "not run" for f in record.findings)
    claims = [f.claim for f in record.findings if f.verdict in ("error", "not applicable")]
    silent = sum(not any(c.startswith(f"{refusal.method} could not") for c in claims) for refusal in record.refusals)
    return told + len(record.not_run) + silent


def excess(finding: Finding) -> float:
    """How far the estimate lies beyond its threshold, in thresholds; below 0 on the passing side, −∞ if unknown."""
    if finding.threshold is None or not math.isfinite(finding.estimate) or not finding.direction:
        return -math.inf
    beyond = finding.estimate - finding.threshold
    return (beyond if finding.direction == "at most" else -beyond) / (abs(finding.threshold) or 1.0)


def worst_first(record: Record) -> list[Finding]:
    """Findings by verdict; within one, what nobody accepted first, and the largest excess first.

    Faults of the model stand before verdicts on explanations, and those before single tests of explanations; of equals
    what the fewest further rows would settle.
    """
    ranks = list(VERDICTS)

    def key(finding: Finding) -> tuple[int, bool, int, float, float, str, str]:
        kind = 1 if finding.code.startswith(TRUST) else 2 if finding.subject in record.explanations else 0
        held, near = accepted(record, finding), math.inf if finding.more is None else finding.more
        return ranks.index(finding.verdict), held, kind, -excess(finding), near, finding.code, finding.subject

    return sorted(record.findings, key=key)


def pressing(record: Record) -> Finding | None:
    """What to look at first: the worst finding that says what to do, else the worst; nothing if all is well."""
    bad = [f for f in worst_first(record) if f.verdict in ("error", "fail", "undecided") and not accepted(record, f)]
    return next((f for f in bad if f.advice), bad[0] if bad else None)


def _headline(trust: Sequence[Finding], model: Sequence[Finding], failed: int, held: int) -> str:
    relied = sum(f.verdict == "pass" for f in trust)
    if not trust:
        first = "No explanation was judged"
    elif not relied:
        first = f"None of {counted(len(trust), 'explanation')} can be relied on"
    elif relied == len(trust):
        first = f"All {len(trust)} explanations can be relied on" if relied > 1 else "The explanation can be relied on"
    else:
        first = f"{relied} of {len(trust)} explanations can be relied on"
    if failed:
        known = f" ({held} accepted)" if held else ""
        second = f"{counted(failed, 'fault was', 'faults were')} found in the model{known}"
    elif any(f.verdict in ("pass", "undecided", "informative") for f in model):
        second = "no fault was found in the model by the checks that ran"
    else:
        second = "the model itself was not checked for faults"
    return f"{first}; {second}."


def _trusted(trust: Sequence[Finding]) -> list[Saying]:
    forms: dict[Verdict, str] = {
        "pass": "Rely on {}.",
        "informative": "Use {} with care.",
        "fail": "Do not rely on {}.",
        "undecided": "Whether to rely on {} is not decided{}.",
    }
    sayings = []
    for verdict, form in forms.items():
        names = [f.subject for f in trust if f.verdict == verdict]
        more = [f.more for f in trust if f.verdict == verdict and f.more is not None]
        open_ = f"; about {counted(min(more), 'further row')} would settle the nearest" if more else ""
        if names:
            told = listed(names, "and" if verdict in ("pass", "informative") else "or")
            sayings.append(Saying(VERDICTS[verdict].tone, form.format(told, open_)))
    rest = [f.subject for f in trust if f.verdict not in forms]
    return [*sayings, Saying("skipped", f"Not judged: {listed(rest)}.")] if rest else sayings


def _open(model: Sequence[Finding]) -> list[Saying]:
    return _several("undecided", [f"Not decided: {_cited(f)}" for f in model if f.verdict == "undecided"])


def _several(tone: str, texts: Sequence[str]) -> list[Saying]:
    """The first few sentences of a kind, and how many more there are."""
    left = len(texts) - SAID
    more = [Saying(tone, f"And {left:,} more of the kind, listed under Findings.")] if left > 0 else []
    return [*(Saying(tone, text) for text in texts[:SAID]), *more]


def _cited(finding: Finding) -> str:
    return f"{finding.claim.rstrip('.')} ({finding.code})."


def _counts(record: Record) -> tuple[Count, ...]:
    found: dict[Verdict, int] = {verdict: sum(f.verdict == verdict for f in record.findings) for verdict in VERDICTS}
    found["not run"] = not_run(record)
    always: tuple[Verdict, ...] = ("fail", "undecided", "pass", "informative", "not run")
    shown: list[Verdict] = [*always, *(verdict for verdict in VERDICTS if verdict not in always and found[verdict])]
    return tuple(Count(VERDICTS[verdict].tone, found[verdict], VERDICTS[verdict].many) for verdict in shown)
