# SPDX-License-Identifier: Apache-2.0
"""A verdict on every explanation method for this model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import diagnostic
from assay.nouns.result import Breach, Explanation, Finding, Score, Verdict, judge
from assay.words.errors import InputError
from assay.words.stats import Basis
from assay.words.types import Floats


@dataclass(frozen=True)
class Criterion:
    """One thing asked of an explanation: a score, what is read off it, and the side of a threshold it must be on.

    ``against`` compares row by row with a reference explainer; the estimate is then how much better than it, on the
    score's own scale. ``decides`` says whether failing it alone means the explanation should not be used. ``bounds``
    are the least and the greatest value there can be, where there are such.
    """

    code: str
    score: str
    question: str
    threshold: float
    direction: Literal["at most", "at least"]
    against: str = ""
    decides: bool = False
    bounds: tuple[float, float] | None = None


CRITERIA = (
    Criterion("EXP101", "completeness", "leaves {estimate:.1%} of the target's rise unexplained", 0.05, "at most"),
    Criterion(
        "EXP201",
        "deletion",
        "gains {estimate:+.3g} over random order in deletion",
        0.0,
        "at least",
        "random",
        True,
    ),
    Criterion(
        "EXP202",
        "insertion",
        "gains {estimate:+.3g} over random order in insertion",
        0.0,
        "at least",
        "random",
        True,
    ),
    Criterion(
        "EXP203",
        "faithfulness_correlation",
        "goes with the effect of removing parts at r = {estimate:.2f}",
        0.0,
        "at least",
        "",
        True,
        (-1.0, 1.0),
    ),
    Criterion(
        "SAN102",
        "parameter_randomisation",
        "keeps rank correlation {estimate:.2f} when the weights are drawn afresh",
        0.3,
        "at most",
        "",
        True,
        (-1.0, 1.0),
    ),
    Criterion(
        "STA301",
        "max_sensitivity",
        "moves by {estimate:.2f} of its own size under tiny moves of the input",
        1.0,
        "at most",
    ),
)


@diagnostic(source="assay2026")
def explanation_trust(
    case: Case,
    explanations: Mapping[str, Explanation],
    scores: Mapping[tuple[str, str], Score],
    *,
    breaches: Mapping[str, Breach] | None = None,
    level: float = 0.95,
) -> list[Finding]:
    """Whether each explanation of this model may be used, used with care, or not used, and on what evidence.

    Every criterion compares a mean over rows (Student's interval; with a value added at each bound where there are
    bounds) with a threshold; ``level`` holds for all criteria of one explanation together (Bonferroni). An explanation
    that fails faithfulness or sanity is not to be used; one that fails stability, or that the rows at hand cannot
    decide, is to be used with care. ``explanations`` are the candidates; ``scores`` is keyed (explainer, score) and
    must hold the reference explainer ``random``.
    """
    findings: list[Finding] = []
    for name in explanations:
        asked = [criterion for criterion in CRITERIA if (name, criterion.score) in scores]
        breach = (breaches or {}).get(name)
        each = 1 - (1 - level) / max(len(asked) + (breach is not None), 1)
        judged = [_judged(name, criterion, scores, each) for criterion in asked]
        if breach is not None:
            judged.append(_attacked(name, breach, each))
        findings += judged
    return [*findings, *concluded(findings, tuple(explanations))]


def concluded(findings: Sequence[Finding], names: Sequence[str]) -> list[Finding]:
    """TRU001 for each explanation named, from the verdicts of its criteria."""
    return [_verdict(name, [f for f in findings if f.subject == name and f.code != "TRU001"]) for name in names]


def _judged(name: str, criterion: Criterion, scores: Mapping[tuple[str, str], Score], level: float) -> Finding:
    score = scores[name, criterion.score]
    values = read(criterion, score, scores)
    known = values[~np.isnan(values)]
    estimate = float(known.mean()) if len(known) else float("nan")
    basis = (
        Basis("student", {"values": known})
        if criterion.bounds is None
        else Basis("bounded", {"values": known, "bounds": np.array(criterion.bounds)})
    )
    interval = basis.at(level)
    claim = criterion.question.format(estimate=estimate) if len(known) else f"has no defined {criterion.score}"
    return Finding(
        code=criterion.code,
        verdict=judge(interval, criterion.threshold, criterion.direction) if len(known) else "not applicable",
        claim=f"{name} {claim}",
        subject=name,
        estimate=estimate,
        interval=interval,
        threshold=criterion.threshold,
        direction=criterion.direction,
        null=0.0 if criterion.against or criterion.score == "faithfulness_correlation" else None,
        n=len(known),
        meaning=score.meaning,
        advice=_ADVICE[criterion.code],
        evidence={
            "rows undefined": int(np.isnan(values).sum()),
            "mean score": score.mean,
            "better": score.better,
        },
        basis=basis if len(known) else None,
    )


def read(criterion: Criterion, score: Score, scores: Mapping[tuple[str, str], Score]) -> Floats:
    """The number of each row (row,) whose mean the criterion holds to its threshold."""
    if criterion.score == "completeness":
        return score.extra["relative"]
    if not criterion.against:
        return score.values
    if (criterion.against, criterion.score) not in scores:
        raise InputError(f"{criterion.code} compares with the reference {criterion.against!r}; score it too.")
    reference = scores[criterion.against, criterion.score].values
    return reference - score.values if score.better == "lower" else score.values - reference


def _attacked(name: str, breach: Breach, level: float) -> Finding:
    basis = Basis("bounded", {"values": breach.after, "bounds": np.array([0.0, 1.0])})
    interval = basis.at(level)
    return Finding(
        code="ATK401",
        verdict=judge(interval, 0.5, "at least"),
        claim=f"{name} keeps {breach.after.mean():.0%} of its top parts under attack at an unchanged prediction",
        subject=name,
        estimate=float(breach.after.mean()),
        interval=interval,
        threshold=0.5,
        direction="at least",
        null=float(breach.random.mean()),
        n=len(breach.ids),
        meaning=breach.meaning,
        advice=_ADVICE["ATK401"],
        evidence={
            "after random moves of the same size": float(breach.random.mean()),
            "prediction kept": int(breach.kept.sum()),
        },
        basis=basis,
    )


def _verdict(name: str, judged: Sequence[Finding]) -> Finding:
    deciding = {c.code for c in CRITERIA if c.decides}
    against = [f for f in judged if f.verdict == "fail"]
    proven = [f for f in judged if f.verdict == "pass" and f.code in deciding]
    verdict: Verdict
    if any(f.code in deciding for f in against):
        verdict, word = "fail", "do not use"
    elif against or not proven:
        verdict, word = "undecided", "use with care"
    else:
        verdict, word = "pass", "use"
    why = (
        "; ".join(f.claim.removeprefix(f"{name} ") for f in (against or proven or judged)[:2])
        or "nothing could be tested"
    )
    return Finding(
        code="TRU001",
        verdict=verdict,
        claim=f"{word} {name}: it {why}" if judged else f"{word} {name}: {why}",
        subject=name,
        n=max((f.n for f in judged), default=0),
        meaning=(
            "Use: at least one test of faithfulness or sanity is passed and none is failed. Use with care: a test of "
            "stability is failed, or the rows at hand decide nothing. Do not use: faithfulness or sanity is failed."
        ),
        advice="Ask for more rows where tests are undecided." if verdict == "undecided" else "",
        evidence={f.code: f.verdict for f in judged},
    )


_ADVICE = {
    "EXP101": "Raise the steps of the quadrature, or take a method whose values add up.",
    "EXP201": "Prefer an explanation that beats random order; check the result under another removal.",
    "EXP202": "Prefer an explanation that beats random order; check the result under another removal.",
    "EXP203": "Do not read its sums as effects; prefer a Shapley value of the same removal.",
    "SAN102": "It shows the input more than the model. Prefer a method that forgets with the weights.",
    "STA301": "Average it over noise, or show it together with its spread.",
    "ATK401": "Do not let an adversary choose the input; smoothing (repair.smoothing) makes it harder to move.",
}
