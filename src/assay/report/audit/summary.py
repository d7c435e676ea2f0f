# SPDX-License-Identifier: Apache-2.0
"""The summary at the top: which explanations can be used, which model checks failed, and counts. No overall score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding, Verdict
from assay.report.audit.waivers import is_waived
from assay.report.drawing.formatting import VERDICTS, format_count, join_names, method_name

TRUST = "TRU"
"""Prefix of the codes of verdicts on an explanation as a whole."""

SCORES = "SCO"
"""Prefix of the codes of checks of the scores themselves."""


MAX_STATEMENTS = 3
"""Findings of one verdict that the summary names; the section Findings lists all."""


@dataclass(frozen=True)
class Statement:
    """One sentence and the tone of its icon."""

    tone: str
    text: str


@dataclass(frozen=True)
class Count:
    """The number of findings with a verdict."""

    tone: str
    count: int
    word: str


@dataclass(frozen=True)
class Summary:
    """The top of the page."""

    tone: str
    headline: str
    statements: tuple[Statement, ...]
    counts: tuple[Count, ...]
    next_step: str


def summary(record: Record) -> Summary:
    """Headline, one sentence for each verdict, counts, and the advice of the most urgent finding."""
    trust = [f for f in record.findings if f.code.startswith(TRUST)]
    model = model_findings(record)
    failed = [f for f in worst_first(record) if f in model and f.verdict == "fail"]
    waived = [f for f in failed if is_waived(record, f)]
    unwaived = [f for f in worst_first(record) if not is_waived(record, f)]
    first = most_urgent(record)
    return Summary(
        tone=VERDICTS[unwaived[0].verdict].tone if unwaived else "skipped",
        headline=f"{_explanations_headline(trust)}; {_model_headline(model, len(failed), len(waived))}.",
        statements=(
            *_advice(trust),
            *_first_few("fail", [f"Failed: {_cite(f)}" for f in failed if f not in waived]),
            *_first_few("info", [f"Waived: {_cite(f)}" for f in waived]),
            *_first_few("undecided", [f"Undecided: {_cite(f)}" for f in model if f.verdict == "undecided"]),
        ),
        counts=_counts(record),
        next_step=f"{first.advice.rstrip('.')} ({first.code}, {first.subject})."
        if first is not None and first.advice
        else "",
    )


def model_findings(record: Record) -> list[Finding]:
    """The findings about the model and its data, without those about explanations and scores."""
    others = (TRUST, SCORES)
    return [f for f in record.findings if not f.code.startswith(others) and f.subject not in record.explanations]


def not_run(record: Record) -> int:
    """Number of checks not run: findings with this verdict, skipped steps, and refused steps without a finding."""
    found = sum(f.verdict == "not run" for f in record.findings)
    claims = [f.claim for f in record.findings if f.verdict in ("error", "not applicable")]
    silent = sum(not any(c.startswith(f"{refusal.method} could not") for c in claims) for refusal in record.refusals)
    return found + len(record.not_run) + silent


def excess(finding: Finding) -> float:
    """(estimate − threshold) / |threshold|, positive on the failing side; −∞ where it is undefined.

    A threshold of 0 counts as 1 in the denominator.
    """
    if finding.threshold is None or not math.isfinite(finding.estimate) or not finding.direction:
        return -math.inf
    difference = finding.estimate - finding.threshold
    return (difference if finding.direction == "at most" else -difference) / (abs(finding.threshold) or 1.0)


def worst_first(record: Record) -> list[Finding]:
    """Findings by verdict; within a verdict unwaived ones first, then by the size of the excess.

    Findings about the model precede verdicts on explanations, and those precede single checks of explanations. Of
    equal findings the one that needs the fewest further rows comes first.
    """
    ranks = list(VERDICTS)

    def key(finding: Finding) -> tuple[int, bool, int, float, float, str, str]:
        kind = 1 if finding.code.startswith(TRUST) else 2 if finding.subject in record.explanations else 0
        waived, more = is_waived(record, finding), math.inf if finding.more is None else finding.more
        return ranks.index(finding.verdict), waived, kind, -excess(finding), more, finding.code, finding.subject

    return sorted(record.findings, key=key)


def most_urgent(record: Record) -> Finding | None:
    """The worst unwaived finding that has advice, else the worst one; ``None`` where no check failed or is open."""
    bad = [f for f in worst_first(record) if f.verdict in ("error", "fail", "undecided") and not is_waived(record, f)]
    return next((f for f in bad if f.advice), bad[0] if bad else None)


def _explanations_headline(trust: Sequence[Finding]) -> str:
    if not trust:
        return "No explanation was judged"
    usable = sum(f.verdict == "pass" for f in trust)
    undecided = sum(f.verdict == "undecided" for f in trust)
    noun = "explanation" if len(trust) == 1 else "explanations"
    return f"{usable} of {len(trust)} {noun} can be used" + (f" ({undecided} undecided)" if undecided else "")


def _model_headline(model: Sequence[Finding], failed: int, waived: int) -> str:
    judged = sum(f.verdict in ("fail", "pass", "undecided", "informative") for f in model)
    if not judged:
        return "the model itself was not checked"
    undecided = sum(f.verdict == "undecided" for f in model)
    text = f"{failed} of {format_count(judged, 'model check')} failed"
    return text + (f" ({waived} waived)" if waived else "") + (f", {undecided} undecided" if undecided else "")


def _advice(trust: Sequence[Finding]) -> list[Statement]:
    forms: dict[Verdict, str] = {
        "pass": "Use {}.",
        "informative": "Use {} with care.",
        "fail": "Do not use {}.",
        "undecided": "Undecided: {}{}.",
    }
    statements = []
    for verdict, form in forms.items():
        names = [method_name(f.subject) for f in trust if f.verdict == verdict]
        more = [f.more for f in trust if f.verdict == verdict and f.more is not None]
        which = "one of them" if len(names) > 1 else "it"
        needed = f"; about {format_count(min(more), 'more row')} would decide {which}" if more else ""
        if names:
            text = join_names(names, "or" if verdict == "fail" else "and")
            statements.append(Statement(VERDICTS[verdict].tone, form.format(text, needed)))
    rest = [method_name(f.subject) for f in trust if f.verdict not in forms]
    return [*statements, Statement("skipped", f"Not judged: {join_names(rest)}.")] if rest else statements


def _first_few(tone: str, texts: Sequence[str]) -> list[Statement]:
    """The first few sentences of one verdict, and the number of the others."""
    left = len(texts) - MAX_STATEMENTS
    more = [Statement(tone, f"{left:,} more: see Findings.")] if left > 0 else []
    return [*(Statement(tone, text) for text in texts[:MAX_STATEMENTS]), *more]


def _cite(finding: Finding) -> str:
    return f"{finding.claim.rstrip('.')} ({finding.code})."


def _counts(record: Record) -> tuple[Count, ...]:
    found: dict[Verdict, int] = {verdict: sum(f.verdict == verdict for f in record.findings) for verdict in VERDICTS}
    found["not run"] = not_run(record)
    always: tuple[Verdict, ...] = ("fail", "undecided", "pass", "informative", "not run")
    chosen: list[Verdict] = [*always, *(verdict for verdict in VERDICTS if verdict not in always and found[verdict])]
    return tuple(Count(VERDICTS[verdict].tone, found[verdict], VERDICTS[verdict].many) for verdict in chosen)
