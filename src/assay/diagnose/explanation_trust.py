# SPDX-License-Identifier: Apache-2.0
"""A verdict on every explanation method for this model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from assay.cases.case import Case
from assay.engine.check_findings import advice_for, attack_findings
from assay.engine.comparison.criteria import (
    Scores,
    criteria_of,
    criterion_named,
    gains,
    normalised_scores,
    reading,
    reference_method,
)
from assay.engine.declare import diagnostic
from assay.nouns.catalogue import Check, check_named, find
from assay.nouns.results.finding import PRACTICAL, Finding, Verdict, claim_number, judge
from assay.nouns.results.result import AttackResult, Explanation

Word = Literal["use", "use with care", "do not use", "undecided"]

VERDICTS: dict[Word, Verdict] = {
    "use": "pass",
    "use with care": "informative",
    "do not use": "fail",
    "undecided": "undecided",
}
"""The verdict in words, and the verdict of the check."""

FACTS = 3
"""Facts that a verdict is reported with."""

SECOND_REMOVAL = "EXP204"
"""The check of the reference method's ranking under another removal."""

SCORE_CHECKS = ("SCO101", "SCO102")
"""Checks of the scores themselves: a score that fails either is left out of every verdict."""

TRUST = Check(
    "TRU001",
    "Can this explanation be used, given its checks of completeness and faithfulness (EXP), randomisation and "
    "class sensitivity (SAN), stability (STA) and attacks (ATK)?",
    'Use an explanation with the verdict "use".',
)


AVAILABLE = Check(
    "TRU002",
    "Is there an explanation of this model that can be used?",
    "Try other explanations (methods=…, --methods), another cut into features, or more rows; until one can be used, do "
    "not explain this model.",
)


@diagnostic(source="assay2026", checks=(TRUST, AVAILABLE))
def explanation_trust(
    case: Case,
    explanations: Mapping[str, Explanation],
    scores: Scores,
    *,
    attack_results: Mapping[str, AttackResult] | None = None,
    reliability: Sequence[Finding] = (),
    top: str = "",
    level: float = 0.95,
) -> list[Finding]:
    """Whether each explanation of this model may be used, used with care, not used, or cannot be judged; and why.

    Every criterion compares a mean over rows with a threshold (Student's interval; with a value added at each bound
    where there are bounds); ``level`` holds for all criteria of one explanation together (Bonferroni). Deletion and
    insertion are normalised between the random explanation (0) and the reference method (1): a ratio of paired means
    with Fieller's interval. ``top`` names the reference method, by default the first of oracle, shapley, tree_shapley,
    permutation_shapley and occlusion that was scored. ``scores`` is keyed (explainer, score) and must hold ``random``.

    Do not use: a check of faithfulness or randomisation fails; the problem is the explanation, not the model. Use: a
    check of the ranking (deletion or insertion) passes and no check fails; unexpected attributions then reflect the
    model. Where the reference method has a check under another removal (EXP204), that one must pass. Use with care: the
    same, but a check of stability, completeness, class sensitivity or robustness to attack fails, or randomisation is
    undecided. Undecided: no check of the ranking passes; ``more`` is the number of further
    rows that would decide in four of five samples. Scores that ``reliability``
    (findings of ``score_reliability``) shows to fail are left out, and named.
    """
    best = top or reference_method(scores, tuple(explanations))
    findings: list[Finding] = []
    for name in explanations:
        criteria = criteria_of(name, scores)
        result = (attack_results or {}).get(name)
        attacks = 0 if result is None else len(find("attack", result.method).checks)
        each = 1 - (1 - level) / max(len(criteria) + attacks, 1)
        findings += [_judged(name, criterion, scores, best, each) for criterion in criteria]
        if result is not None:
            findings += attack_findings(name, result, each)
    return [*findings, *conclude([*findings, *reliability], tuple(explanations))]


def conclude(findings: Sequence[Finding], names: Sequence[str]) -> list[Finding]:
    """TRU001 for each explanation named, from the verdicts of its criteria and of the scores they are read off."""
    unreliable = {f.subject: f for f in findings if f.code in SCORE_CHECKS and f.verdict == "fail"}
    return [
        _conclude(name, [f for f in findings if f.subject == name and f.code != TRUST.code], unreliable)
        for name in names
    ]


def reject_tried(findings: Sequence[Finding], tried: Sequence[str]) -> list[Finding]:
    """The findings in which failures of the explanations ``tried`` are "rejected"."""
    return [replace(f, verdict="rejected") if f.verdict == "fail" and f.subject in tried else f for f in findings]


def conclude_available(trust: Sequence[Finding], model: str) -> Finding:
    """TRU002 from the verdicts on all explanations (TRU001)."""
    usable = [f.subject for f in trust if f.verdict == "pass"]
    careful = [f.subject for f in trust if f.verdict == "informative"]
    open_ones = [f for f in trust if f.verdict == "undecided"]
    more = min((f.more for f in open_ones if f.more is not None), default=None)
    rows = max((f.n for f in trust), default=0)
    verdict: Verdict = "pass" if usable or careful else "undecided" if open_ones else "fail"
    parts = [f"use {', '.join(usable)}"] * bool(usable) + [f"with care {', '.join(careful)}"] * bool(careful)
    rest = "; ".join(parts) if parts else "none can be used" if not open_ones else "none is shown to be usable"
    return Finding(
        code=AVAILABLE.code,
        verdict=verdict,
        claim=f"Of {len(trust)} explanations: {rest}.",
        subject=model,
        n=rows,
        meaning="An explanation can be used where its ranking of features is shown to be faithful to this model and no "
        "check of faithfulness or randomisation fails.",
        advice=_advice("undecided", [more] if more else [], rows)
        if verdict == "undecided"
        else advice_for(AVAILABLE, verdict),
        evidence={"explanations": {f.subject: f.verdict for f in trust}},
        more=more if verdict == "undecided" else None,
    )


def _judged(name: str, criterion: Check, scores: Scores, top: str, level: float) -> Finding:
    score, found = scores[name, criterion.score], reading(criterion, name, scores, top)
    interval = found.basis.at(level)
    assert criterion.threshold is not None
    assert criterion.direction != ""
    verdict = judge(interval, criterion.threshold, criterion.direction) if found.n else "not applicable"
    return Finding(
        code=criterion.code,
        verdict=verdict,
        claim=f"{name}: {_claim(criterion, found.estimate, found.n, name, scores, top)}",
        subject=name,
        estimate=found.estimate,
        interval=interval,
        threshold=criterion.threshold,
        direction=criterion.direction,
        null=0.0 if criterion.is_normalised or criterion.score == "faithfulness_correlation" else None,
        n=found.n,
        meaning=score.meaning,
        advice=advice_for(criterion, verdict),
        evidence={"rows undefined": found.undefined, "mean score": score.mean, "better": score.better}
        | ({"normalised scores": normalised_scores(criterion.score, scores, top)} if criterion.is_normalised else {}),
        basis=found.basis if found.n else None,
    )


def _claim(criterion: Check, estimate: float, rows: int, name: str, scores: Scores, top: str) -> str:
    if not rows:
        return f"{criterion.score.replace('_', ' ')} is undefined on every row"
    if criterion.is_normalised and math.isnan(estimate):
        return f"normalised {criterion.score} score is undefined: {top}, the reference, does not beat a random ranking"
    if criterion.is_normalised and name == top:
        gain = np.nanmean(gains(name, criterion.score, scores))
        by = f"{criterion.score} is better by {claim_number(float(gain))} than that of a random ranking"
        return f"{by} (as the reference method, its normalised score is 1)"
    return criterion.claim.format(estimate=estimate, name=name, top=top).replace(" -", " −")


def _conclude(name: str, found: Sequence[Finding], unreliable: Mapping[str, Finding]) -> Finding:
    judged = [f for f in found if _score(f) not in unreliable]
    word, facts = _verdict(judged)
    reasons = "; ".join(f.claim.removeprefix(f"{name}: ") for f in facts[:FACTS]) or "no check could be computed"
    out = [score for score in unreliable if any(_score(f) == score for f in found)]
    aside = f" ({' and '.join(out)} not used: unreliable on this model)" if out else ""
    more = [f.more for f in facts if f.more is not None] if word == "undecided" else []
    return Finding(
        code=TRUST.code,
        verdict=VERDICTS[word],
        claim=f"{name}: {word}; {reasons}{aside}",
        subject=name,
        n=max((f.n for f in found), default=0),
        meaning=(
            "Use: deletion or insertion passes and no check fails. Use with care: the same, but a check of stability, "
            "completeness, class sensitivity or robustness to attack fails, or randomisation (SAN102) is undecided. Do "
            "not use: a check of faithfulness or randomisation fails. Undecided: neither deletion nor insertion passes."
        ),
        advice=_advice(word, more, max((f.n for f in found), default=0)),
        evidence={f.code: f.verdict for f in found}
        | {"word": word, "facts": [f.code for f in facts[:FACTS]], "left out": out},
        more=min(more) if more else None,
    )


def _verdict(judged: Sequence[Finding]) -> tuple[Word, list[Finding]]:
    """The verdict, and the findings that decided it, the most important first."""
    failed = [f for f in judged if f.verdict == "fail"]
    decisive = [f for f in failed if _kind(f) in ("faithful", "sane")]
    if decisive:
        return "do not use", decisive
    faithful = [f for f in judged if f.verdict == "pass" and _is_ranking(f)]
    second = [f for f in judged if f.code == SECOND_REMOVAL]
    if second:  # the reference method is not judged by the score whose unit it defines
        faithful = [f for f in second if f.verdict == "pass"]
    sane = [f for f in judged if f.verdict == "pass" and _kind(f) == "sane"]
    undecided = [f for f in judged if f.verdict == "undecided" and _kind(f) in ("faithful", "sane")]
    if not faithful:
        return "undecided", [f for f in undecided if _kind(f) == "faithful"] or list(judged)
    doubts = [*failed, *(f for f in undecided if _kind(f) == "sane")]
    if doubts:
        return "use with care", [*doubts, *faithful]
    return "use", [*faithful, *sane]


def _advice(word: Word, more: Sequence[int], rows: int) -> str:
    if word == "undecided":
        if not more:
            return "Score more rows."
        needed = "1 more row" if min(more) == 1 else f"{min(more):,} more rows"
        if rows and min(more) > PRACTICAL * rows:
            return (
                f"Practically undecidable with this data: about {needed} would be needed, {min(more) / rows:.0f} times "
                f"the {rows:,} given. Use another explanation."
            )
        return f"Score more rows: about {needed} would decide in four of five samples."
    if word == "do not use":
        return "Use another explanation: the problem is the explanation, not the model."
    return "If an attribution is unexpected, examine the model: the explanation is faithful to it."


def _score(finding: Finding) -> str:
    criterion = criterion_named(finding.code)
    return criterion.score if criterion is not None else ""


def _kind(finding: Finding) -> str:
    check = check_named(finding.code)
    return check.kind if check is not None else "other"


def _is_ranking(finding: Finding) -> bool:
    criterion = criterion_named(finding.code)
    return criterion is not None and criterion.is_normalised
