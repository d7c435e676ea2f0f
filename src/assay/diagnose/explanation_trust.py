# SPDX-License-Identifier: Apache-2.0
"""A verdict on every explanation method for this model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from assay.basics.stats import Basis
from assay.cases.case import Case
from assay.engine.comparison.criteria import Criterion, Scores, asked_of, criterion_of, gains, oracle, reading, rungs
from assay.engine.declare import diagnostic
from assay.nouns.results.result import AttackResult, Explanation, Finding, Verdict, judge

Word = Literal["use", "use with care", "do not use", "undecided"]

VERDICTS: dict[Word, Verdict] = {
    "use": "pass",
    "use with care": "informative",
    "do not use": "fail",
    "undecided": "undecided",
}
"""What is told, and how a gate reads it."""

FACTS = 3
"""Facts that a verdict is told with."""

SCORE_CHECKS = ("SCO101", "SCO102")
"""Checks of the scores themselves: one that fails either is left out of every verdict."""


@diagnostic(source="assay2026")
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
    """Whether each explanation of this model is to be used, used with care, not used, or cannot be judged; and why.

    Every criterion compares a mean over rows with a threshold (Student's interval; with a value added at each bound
    where there are bounds); ``level`` holds for all criteria of one explanation together (Bonferroni). Deletion and
    insertion are told as the share of the way from random order (0) to the yardstick (1), a ratio of paired means with
    Fieller's interval; ``top`` names the yardstick, by default oracle, shapley, tree_shapley, permutation_shapley or
    occlusion, whichever of them was scored first. ``scores`` is keyed (explainer, score) and must hold ``random``.

    Do not use: faithfulness or sanity fails; the fault is the explanation's. Use: an order is faithful and nothing
    fails; what looks odd in it is then the model's doing. Use with care: the same, but a test of stability, of adding
    up or of telling classes apart fails, or sanity is open. Undecided: no order is shown to be faithful; ``more`` says
    how many further rows would decide, if the estimates stayed. Scores that ``reliability`` (findings of
    ``score_reliability``) shows to fail are left out, and named.
    """
    best = top or oracle(scores, tuple(explanations))
    findings: list[Finding] = []
    for name in explanations:
        asked = asked_of(name, scores)
        attack_result = (attack_results or {}).get(name)
        each = 1 - (1 - level) / max(len(asked) + (attack_result is not None), 1)
        findings += [_judged(name, criterion, scores, best, each) for criterion in asked]
        if attack_result is not None:
            findings.append(_attacked(name, attack_result, each))
    return [*findings, *concluded([*findings, *reliability], tuple(explanations))]


def concluded(findings: Sequence[Finding], names: Sequence[str]) -> list[Finding]:
    """TRU001 for each explanation named, from the verdicts of its criteria and of the scores they are read off."""
    blind = {f.subject: f for f in findings if f.code in SCORE_CHECKS and f.verdict == "fail"}
    return [
        _concluded(name, [f for f in findings if f.subject == name and f.code != "TRU001"], blind) for name in names
    ]


def _judged(name: str, criterion: Criterion, scores: Scores, top: str, level: float) -> Finding:
    score, found = scores[name, criterion.score], reading(criterion, name, scores, top)
    interval = found.basis.at(level)
    known = found.n > 0
    told = criterion.question.format(estimate=found.estimate, top=top).replace(" -", " −")
    if criterion.is_normalised and name == top:
        gain = np.nanmean(gains(name, criterion.score, scores)) if known else np.nan
        told = f"is the yardstick in {criterion.score}: 1 stands for its gain of {gain:.3g} over random order"
    if criterion.is_normalised and math.isnan(found.estimate):
        told = f"has no ladder in {criterion.score}: {top} itself does not beat random order"
    return Finding(
        code=criterion.code,
        verdict=judge(interval, criterion.threshold, criterion.direction) if known else "not applicable",
        claim=f"{name} {told}" if known else f"{name} has no defined {criterion.score}",
        subject=name,
        estimate=found.estimate,
        interval=interval,
        threshold=criterion.threshold,
        direction=criterion.direction,
        null=0.0 if criterion.is_normalised or criterion.score == "faithfulness_correlation" else None,
        n=found.n,
        meaning=score.meaning,
        advice=criterion.advice,
        evidence={"rows undefined": found.undefined, "mean score": score.mean, "better": score.better}
        | ({"ladder": rungs(criterion.score, scores, top)} if criterion.is_normalised else {}),
        basis=found.basis if known else None,
    )


def _attacked(name: str, attack_result: AttackResult, level: float) -> Finding:
    basis = Basis("bounded", {"values": attack_result.after, "bounds": np.array([0.0, 1.0])})
    interval = basis.at(level)
    return Finding(
        code="ATK401",
        verdict=judge(interval, 0.5, "at least"),
        claim=f"{name} keeps {attack_result.after.mean():.0%} of its top parts under attack at an unchanged prediction",
        subject=name,
        estimate=float(attack_result.after.mean()),
        interval=interval,
        threshold=0.5,
        direction="at least",
        null=float(attack_result.random.mean()),
        n=len(attack_result.ids),
        meaning=attack_result.meaning,
        advice="Do not let an adversary choose the input; smoothing (repair.smoothing) makes it harder to move.",
        evidence={
            "after random moves of the same size": float(attack_result.random.mean()),
            "prediction kept": int(attack_result.kept.sum()),
        },
        basis=basis,
    )


def _concluded(name: str, found: Sequence[Finding], blind: Mapping[str, Finding]) -> Finding:
    judged = [f for f in found if _score(f) not in blind]
    word, facts = _worded(judged)
    told = "; ".join(f.claim.removeprefix(f"{name} ") for f in facts[:FACTS]) or "nothing could be tested"
    out = [score for score in blind if any(_score(f) == score for f in found)]
    aside = f" ({' and '.join(out)} left out: unreliable on this model)" if out else ""
    more = [f.more for f in facts if f.more is not None] if word == "undecided" else []
    return Finding(
        code="TRU001",
        verdict=VERDICTS[word],
        claim=f"{word} {name}: it {told}{aside}" if facts else f"{word} {name}: {told}{aside}",
        subject=name,
        n=max((f.n for f in found), default=0),
        meaning=(
            "Use: an order by it is faithful and no test is failed. Use with care: the same, but a test of stability, "
            "of adding up or of telling classes apart is failed, or sanity is open. Do not use: faithfulness or sanity "
            "is failed. Undecided: the rows at hand do not show it faithful."
        ),
        advice=_advised(word, more),
        evidence={f.code: f.verdict for f in found}
        | {"word": word, "facts": [f.code for f in facts[:FACTS]], "left out": out},
        more=min(more) if more else None,
    )


def _worded(judged: Sequence[Finding]) -> tuple[Word, list[Finding]]:
    """The verdict, and the findings that decided it, the weightiest first."""
    failed = [f for f in judged if f.verdict == "fail"]
    damning = [f for f in failed if _kind(f) in ("faithful", "sane")]
    if damning:
        return "do not use", damning
    shown = [f for f in judged if f.verdict == "pass" and f.code in ("EXP201", "EXP202")]
    sane = [f for f in judged if f.verdict == "pass" and _kind(f) == "sane"]
    unsure = [f for f in judged if f.verdict == "undecided" and _kind(f) in ("faithful", "sane")]
    if not shown:
        return "undecided", [f for f in unsure if _kind(f) == "faithful"] or list(judged)
    doubts = [*failed, *(f for f in unsure if _kind(f) == "sane")]
    if doubts:
        return "use with care", [*doubts, *shown]
    return "use", [*shown, *sane]


def _advised(word: Word, more: Sequence[int]) -> str:
    if word == "undecided":
        return f"About {min(more):,} further rows would decide, if the estimates stay." if more else "Score more rows."
    if word == "do not use":
        return "The fault is the explanation's, not the model's: take one that may be used."
    return "What looks odd in it is the model's doing: mend the model, not the explanation."


def _score(finding: Finding) -> str:
    criterion = criterion_of(finding.code)
    return criterion.score if criterion is not None else ""


def _kind(finding: Finding) -> str:
    criterion = criterion_of(finding.code)
    return criterion.kind if criterion is not None else "other"
