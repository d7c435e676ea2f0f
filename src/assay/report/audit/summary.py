# SPDX-License-Identifier: Apache-2.0
"""The summary at the top: faults, undecided checks, what was not checked, explanations to use. No overall score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding, Verdict
from assay.report.audit.performance import describe_quality
from assay.report.drawing.formatting import VERDICTS, finding_numbers, format_count, join_names, method_name
from assay.report.findings.repairs import describe_tried
from assay.report.findings.waivers import is_waived

TRUST = "TRU001"
"""The code of the verdict on an explanation as a whole."""

SCORES = "SCO"
"""Prefix of the codes of checks of the scores themselves."""


MAX_STATEMENTS = 4
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
    quality: str
    statements: tuple[Statement, ...]
    counts: tuple[Count, ...]
    next_step: str


def summary(record: Record) -> Summary:
    """Headline, one sentence for each verdict, counts, and the advice of the most urgent finding."""
    trust = explanation_findings(record)
    model = model_findings(record)
    ordered = [f for f in worst_first(record) if f in model]
    failed = [f for f in ordered if f.verdict == "fail"]
    undecided = [f for f in ordered if f.verdict == "undecided"]
    waived = [f for f in failed if is_waived(record, f)]
    unwaived = [f for f in worst_first(record) if not is_waived(record, f)]
    first = most_urgent(record)
    return Summary(
        tone=VERDICTS[unwaived[0].verdict].tone if unwaived else "skipped",
        headline=headline(record),
        quality=describe_quality(record),
        statements=(
            *_first_few("fail", [_cite(f) for f in failed if f not in waived]),
            *_first_few("info", [f"Waived: {_cite(f)}" for f in waived]),
            *_first_few("undecided", [f"Undecided: {_cite(f)}{_open_interval(f)}" for f in undecided]),
            *_advice(trust),
        ),
        counts=_counts(record),
        next_step="" if first is None else _next_step(record, first),
    )


def _next_step(record: Record, first: Finding) -> str:
    """What the repairs of this audit did to the most urgent finding, else its advice; labels come before all else."""
    if first.verdict != "fail" and any(
        i.what == "diagnose.performance" and i.enable.startswith("y=") for i in record.not_run
    ):
        return "Give the true labels of the rows: whether the model is any good was not checked."
    tried = describe_tried(record, first)
    return tried or (f"{first.advice.rstrip('.')} ({first.code}, {first.subject})." if first.advice else "")


def model_findings(record: Record) -> list[Finding]:
    """The findings about the model and its data, without those about single explanations and about scores."""
    return [f for f in record.findings if not f.code.startswith(SCORES) and not _is_of_explanation(record, f)]


def explanation_findings(record: Record) -> list[Finding]:
    """The verdict on each explanation."""
    return [f for f in record.findings if f.code == TRUST]


def _is_of_explanation(record: Record, finding: Finding) -> bool:
    return finding.code == TRUST or finding.subject in record.explanations


def faults(record: Record) -> list[Finding]:
    """Failures and errors that no waiver covers: of the model, and of explanations that were asked for by name."""
    return [f for f in _of_model(record) if f.verdict in ("fail", "error") and not is_waived(record, f)]


def _of_model(record: Record) -> list[Finding]:
    return [*model_findings(record), *(f for f in explanation_findings(record) if f.verdict == "fail")]


def undecided_explanation_checks(record: Record) -> list[Finding]:
    """Undecided single checks of explanations; the verdicts on explanations are not among them."""
    return [
        f for f in record.findings if f.verdict == "undecided" and f.code != TRUST and f.subject in record.explanations
    ]


def count_checks(record: Record) -> dict[Verdict, int]:
    """The number of checks by verdict; their sum is the one total that every number of checks refers to."""
    found: dict[Verdict, int] = {verdict: sum(f.verdict == verdict for f in record.findings) for verdict in VERDICTS}
    return found | {"not run": not_run(record)}


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
    """Findings by verdict; within a verdict unwaived ones first, those of performance, then by the excess.

    Of performance, whether the model predicts at all comes first. Findings about the model precede verdicts on
    explanations, and those precede single checks of explanations. Of equal findings the one that needs the fewest
    further rows comes first.
    """
    ranks = list(VERDICTS)

    def key(finding: Finding) -> tuple[int, bool, int, int, float, float, str, str]:
        kind = 1 if finding.code == TRUST else 2 if finding.subject in record.explanations else 0
        waived, more = is_waived(record, finding), math.inf if finding.more is None else finding.more
        other = 0 if finding.code in NO_SKILL else 1 if finding.code.startswith(PERFORMANCE) else 2
        return ranks.index(finding.verdict), waived, kind, other, -excess(finding), more, finding.code, finding.subject

    return sorted(record.findings, key=key)


def most_urgent(record: Record) -> Finding | None:
    """The worst unwaived finding that has advice, else the worst one; ``None`` where no check failed or is open."""
    bad = [f for f in worst_first(record) if f.verdict in ("error", "fail", "undecided") and not is_waived(record, f)]
    return next((f for f in bad if f.advice), bad[0] if bad else None)


PERFORMANCE = "PER"
"""Prefix of the codes of the checks of performance."""

NO_SKILL = ("PER101", "PER102")
"""Checks whose failure makes every other statement about the model moot."""


def headline(record: Record) -> str:
    """Faults by family, then undecided checks of model and explanations, then families of checks without a verdict."""
    model, failed, counts = _of_model(record), faults(record), count_checks(record)
    waived = [f for f in model if f.verdict in ("fail", "error") and is_waived(record, f)]
    undecided = [f for f in model if f.verdict == "undecided"]
    if not failed and not undecided and not any(f.verdict in ("pass", "fail") for f in model):
        return "No check of the model was made."
    passed = f"{counts['pass']} of {format_count(sum(counts.values()), 'check')} passed"
    parts = [_faults(failed, passed, bool(waived))]
    parts += [f"waived: {join_names(_families(waived))}"] * bool(waived)
    of_scores = [f for f in record.findings if f.verdict == "undecided" and f.code.startswith(SCORES)]
    still_open = [*_families(undecided), *_open_checks(undecided_explanation_checks(record), "explanations")]
    still_open += _open_checks(of_scores, "scores")
    parts += [f"undecided: {join_names(still_open)}"] * bool(still_open)
    answered = {f.code[:3] for f in model if _has_answer(f) and f.code != WITHOUT_GROUPS}
    asked_for = () if PROBES in record.about else MODEL_FAMILIES
    unchecked = [name for name in asked_for if name not in answered]
    parts += [f"not checked: {join_names([FAMILY_NAMES[name] for name in unchecked])}"] * bool(unchecked)
    return f"{'; '.join(parts)}."


def _open_checks(findings: Sequence[Finding], of: str) -> list[str]:
    codes = ", ".join(dict.fromkeys(f.code for f in findings))
    return [f"{format_count(len(findings), 'check')} of {of} ({codes})"] * bool(findings)


FAMILY_NAMES = {
    "PER": "performance",
    "FAI": "fairness",
    "PRV": "privacy",
    "SHC": "shortcuts",
    "DAT": "data",
    "ROB": "robustness",
    "ITP": "interpretability",
    "ATK": "attacks",
    "CRT": "certificates",
    "CPT": "concepts",
    "SHF": "shift of explanations",
    "RED": "red teaming",
    "TRU": "explanations",
    "RUN": "the audit itself",
}
"""The families of checks about the model and its data, as the headline names them."""

ANSWERED_BY = {
    "performance": "PER",
    "segments": "PER",
    "disparity": "FAI",
    "amplification": "FAI",
    "proxy": "FAI",
    "swapped": "FAI",
    "recourse": "FAI",
    "concept": "CPT",
    "membership": "PRV",
    "exposure": "PRV",
    "privacy": "PRV",
    "feature": "PRV",
    "shortcut": "SHC",
    "artefact": "SHC",
    "data": "DAT",
    "exploration": "DAT",
    "label": "DAT",
    "drift": "DAT",
    "backdoor": "DAT",
    "background": "DAT",
}
"""The family of the checks of the diagnoses that have this word in their name, where the headline may name it."""


def checked_name(name: str) -> str:
    """A diagnosis under the word that the headline has for its checks, with its own name where that is another."""
    code = next((ANSWERED_BY[word] for word in name.split("_") if word in ANSWERED_BY), "")
    family, own = FAMILY_NAMES.get(code, ""), method_name(name)
    if not family or own == family:
        return own
    return family if family.startswith(own) else f"{family} ({own})"


MODEL_FAMILIES = ("PER", "FAI", "PRV", "SHC", "DAT")
"""Families that every audit should answer; the headline names those that it did not."""

PROBES = "probes"
"""What a red team records about itself; it is not asked for the other families."""

WITHOUT_GROUPS = "FAI302"
"""The check of fairness that needs no groups, and so does not answer whether a model is fair to them."""


def _has_answer(finding: Finding) -> bool:
    return finding.verdict not in ("not run", "not applicable", "error")


def _faults(failed: Sequence[Finding], passed: str, waived: bool) -> str:
    if any(f.code in NO_SKILL and f.verdict == "fail" for f in failed):
        others = [f for f in failed if f.code not in NO_SKILL]
        more = f"; {_number_of_faults(len(others))} more: {join_names(_families(others))}" if others else ""
        return f"The model is not shown to predict better than a constant{more}"
    if failed:
        return f"{_number_of_faults(len(failed)).capitalize()}: {join_names(_families(failed))}"
    return f"No {'further ' if waived else ''}fault found, {passed}"


def _number_of_faults(count: int) -> str:
    return format_count(count, "fault")


def _families(findings: Sequence[Finding]) -> list[str]:
    """The families of findings with the codes of each, in the order of ``FAMILY_NAMES``."""
    names = [*FAMILY_NAMES, *sorted({f.code[:3] for f in findings} - set(FAMILY_NAMES))]
    texts = []
    for name in names:
        codes = dict.fromkeys(f.code for f in findings if f.code.startswith(name))
        if codes:
            texts.append(f"{FAMILY_NAMES.get(name, name)} ({', '.join(codes)})")
    return texts


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
        needed = _rows_needed([f for f in trust if f.verdict == verdict])
        if names:
            text = join_names(names, "or" if verdict in ("fail", "rejected") else "and")
            statements.append(Statement(VERDICTS[verdict].tone, form.format(text, needed)))
    rest = [method_name(f.subject) for f in trust if f.verdict not in forms]
    return [*statements, Statement("skipped", f"Not judged: {join_names(rest)}.")] if rest else statements


def _rows_needed(findings: Sequence[Finding]) -> str:
    """How many rows would decide one of the undecided explanations, at the end of a sentence; empty where unknown."""
    more = [f.more for f in findings if f.more is not None]
    if not more:
        return ""
    rows = f"about {format_count(min(more), 'more row')}"
    if all(f.is_practically_undecidable for f in findings):
        return f"; practically undecidable with this data ({rows})"
    return f"; {rows} would decide {'one of them' if len(findings) > 1 else 'it'}"


def _first_few(tone: str, texts: Sequence[str]) -> list[Statement]:
    """The first few sentences of one verdict, and the number of the others."""
    left = len(texts) - MAX_STATEMENTS
    more = [Statement(tone, f"{left:,} more: see Findings.")] if left > 0 else []
    return [*(Statement(tone, text) for text in texts[:MAX_STATEMENTS]), *more]


def _cite(finding: Finding) -> str:
    return f"{finding.claim.rstrip('.')} ({finding.code})."


def _open_interval(finding: Finding) -> str:
    """The interval of an undecided check and the threshold that it contains; empty where one is missing."""
    if finding.interval is None or not math.isfinite(finding.estimate):
        return ""
    estimate, bounds, need = finding_numbers(finding)
    return f" Estimate {estimate} {bounds}, {need.partition(' (')[0]}." if bounds and need else ""


def _counts(record: Record) -> tuple[Count, ...]:
    found = count_checks(record)
    always: tuple[Verdict, ...] = ("fail", "undecided", "pass", "informative", "not run")
    chosen: list[Verdict] = [*always, *(verdict for verdict in VERDICTS if verdict not in always and found[verdict])]
    return tuple(Count(VERDICTS[verdict].tone, found[verdict], VERDICTS[verdict].many) for verdict in chosen)
