# SPDX-License-Identifier: Apache-2.0
"""The summary at the top: faults, undecided checks, what was not checked, explanations to use. No overall score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding, Verdict
from assay.report.audit.waivers import is_waived
from assay.report.drawing.formatting import VERDICTS, format_count, join_names, method_name

TRUST = "TRU001"
"""The code of the verdict on an explanation as a whole."""

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
    trust = explanation_findings(record)
    model = model_findings(record)
    failed = [f for f in worst_first(record) if f in model and f.verdict == "fail"]
    waived = [f for f in failed if is_waived(record, f)]
    unwaived = [f for f in worst_first(record) if not is_waived(record, f)]
    first = most_urgent(record)
    return Summary(
        tone=VERDICTS[unwaived[0].verdict].tone if unwaived else "skipped",
        headline=headline(record),
        statements=(
            *_first_few("fail", [_cite(f) for f in failed if f not in waived]),
            *_first_few("info", [f"Waived: {_cite(f)}" for f in waived]),
            *_first_few("undecided", [f"Undecided: {_cite(f)}" for f in model if f.verdict == "undecided"]),
            *_advice(trust),
        ),
        counts=_counts(record),
        next_step=f"{first.advice.rstrip('.')} ({first.code}, {first.subject})."
        if first is not None and first.advice
        else "",
    )


def model_findings(record: Record) -> list[Finding]:
    """The findings about the model and its data, without those about single explanations and about scores."""
    return [f for f in record.findings if not f.code.startswith(SCORES) and not _is_of_explanation(record, f)]


def explanation_findings(record: Record) -> list[Finding]:
    """The verdict on each explanation."""
    return [f for f in record.findings if f.code == TRUST]


def _is_of_explanation(record: Record, finding: Finding) -> bool:
    return finding.code == TRUST or finding.subject in record.explanations


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
    """Findings by verdict; within a verdict unwaived ones first, whether the model predicts at all, then by the excess.

    Findings about the model precede verdicts on explanations, and those precede single checks of explanations. Of
    equal findings the one that needs the fewest further rows comes first.
    """
    ranks = list(VERDICTS)

    def key(finding: Finding) -> tuple[int, bool, int, bool, float, float, str, str]:
        kind = 1 if finding.code == TRUST else 2 if finding.subject in record.explanations else 0
        waived, more = is_waived(record, finding), math.inf if finding.more is None else finding.more
        other = finding.code not in NO_SKILL
        return ranks.index(finding.verdict), waived, kind, other, -excess(finding), more, finding.code, finding.subject

    return sorted(record.findings, key=key)


def most_urgent(record: Record) -> Finding | None:
    """The worst unwaived finding that has advice, else the worst one; ``None`` where no check failed or is open."""
    bad = [f for f in worst_first(record) if f.verdict in ("error", "fail", "undecided") and not is_waived(record, f)]
    return next((f for f in bad if f.advice), bad[0] if bad else None)


NO_SKILL = ("PER101", "PER102")
"""Checks whose failure makes every other statement about the model moot."""


def headline(record: Record) -> str:
    """Faults by family, then undecided checks, then families of checks without a verdict."""
    model = [*model_findings(record), *(f for f in explanation_findings(record) if f.verdict == "fail")]
    failed = [f for f in model if f.verdict in ("fail", "error") and not is_waived(record, f)]
    waived = [f for f in model if f.verdict in ("fail", "error") and is_waived(record, f)]
    undecided = [f for f in model if f.verdict == "undecided"]
    decided = [f for f in model if f.verdict in ("pass", "fail")]
    if not failed and not decided and not undecided:
        return "No check of the model was made."
    parts = [_faults(failed, len(decided), bool(waived))]
    parts += [f"waived: {_families(waived)}"] * bool(waived)
    parts += [f"undecided: {_families(undecided)}"] * bool(undecided)
    unchecked = [name for name in MODEL_FAMILIES if not any(f.code.startswith(name) and _has_answer(f) for f in model)]
    parts += [f"not checked: {join_names([FAMILY_NAMES[name] for name in unchecked])}"] * bool(unchecked)
    return f"{'; '.join(parts)}."


FAMILY_NAMES = {
    "PER": "performance",
    "FAI": "fairness",
    "PRV": "privacy",
    "SHC": "shortcuts",
    "DAT": "data",
    "ATK": "attacks",
    "CER": "certificates",
    "SHF": "shift of explanations",
    "TRU": "explanations",
    "RUN": "the audit itself",
}
"""The families of checks about the model and its data, as the headline names them."""

MODEL_FAMILIES = ("PER", "FAI", "PRV", "SHC", "DAT")
"""Families that every audit should answer; the headline names those that it did not."""


def _has_answer(finding: Finding) -> bool:
    return finding.verdict not in ("not run", "not applicable", "error")


def _faults(failed: Sequence[Finding], decided: int, waived: bool) -> str:
    if any(f.code in NO_SKILL and f.verdict == "fail" for f in failed):
        others = [f for f in failed if f.code not in NO_SKILL]
        more = f"; {_number_of_faults(len(others))} more: {_families(others)}" if others else ""
        return f"The model is not shown to predict better than a constant{more}"
    if failed:
        return f"{_number_of_faults(len(failed)).capitalize()}: {_families(failed)}"
    return f"No {'further ' if waived else ''}fault found in {format_count(decided, 'decided check')}"


def _number_of_faults(count: int) -> str:
    return format_count(count, "fault")


def _families(findings: Sequence[Finding]) -> str:
    """The families of findings with the codes of each, in the order of ``FAMILY_NAMES``."""
    names = [*FAMILY_NAMES, *sorted({f.code[:3] for f in findings} - set(FAMILY_NAMES))]
    texts = []
    for name in names:
        codes = dict.fromkeys(f.code for f in findings if f.code.startswith(name))
        if codes:
            texts.append(f"{FAMILY_NAMES.get(name, name)} ({', '.join(codes)})")
    return join_names(texts)


def _advice(trust: Sequence[Finding]) -> list[Statement]:
    forms: dict[Verdict, str] = {
        "pass": "Explanations to use: {}.",
        "informative": "Use {} with care.",
        "rejected": "Do not use {}.",
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
            text = join_names(names, "or" if verdict in ("fail", "rejected") else "and")
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
