# SPDX-License-Identifier: Apache-2.0
"""Whether the scores are reliable on this model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.stats import Basis, Interval
from assay.cases.case import Case
from assay.engine.check_findings import judged_finding
from assay.engine.comparison.meta_evaluation import ReliabilityThresholds, meta_evaluation, score_method
from assay.engine.cost import Given, cost_of
from assay.engine.declare import diagnostic
from assay.nouns.catalogue import Check, Cost
from assay.nouns.comparisons.score_reliability import Reliability
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Explanation

THRESHOLDS = ReliabilityThresholds()
DECIDED = ("pass", "fail", "undecided")


REACTIVITY = Check(
    "SCO101",
    "Does the score rank a good explanation above a shuffled one on this model?",
    "The score is left out of the verdicts; score more rows, or give it more draws or steps.",
    THRESHOLDS.min_auroc,
    "at least",
    severe=0.5,
)
NOISE_RESILIENCE = Check(
    "SCO102",
    "Is the score stable under noise that is too small to matter?",
    "The score is left out of the verdicts; give it more draws.",
    THRESHOLDS.max_noise_ratio,
    "at most",
    severe=0.5,
)
CHECKS = (REACTIVITY, NOISE_RESILIENCE)


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    each = [cost_of(score_method(name), case, options) for name, options in o.scores.items()]
    return sum(each, Cost()) * (1 + o.draws + 2 * o.randoms)


@diagnostic(source="hedstrom2023", cost=_cost, checks=CHECKS)
def score_reliability(
    case: Case,
    explanation: Explanation,
    *,
    scores: Mapping[str, Mapping[str, Any]],
    noise: float = 0.01,
    draws: int = 3,
    randoms: int = 5,
    level: float = 0.95,
) -> list[Finding]:
    """Whether each score ranks a good explanation above random ones on this model, and is stable under tiny noise.

    ``scores`` gives names and options; ``explanation`` should be one that is known to be good, since a bad one cannot
    score better than random ones. SCO101: within a row, the probability that the explanation scores better than a
    shuffled one (ties half), at least 0.75. SCO102: change of the score under normal noise of ``noise`` times a row's
    standard deviation, over its change under random explanations (ratio of paired means, Fieller's interval), at most
    0.1. Each at ``level``. A score that fails either should not decide any verdict on this model.
    ``assay.meta_evaluation`` gives all tests of one score.
    """
    findings = []
    for name, options in scores.items():
        found = meta_evaluation(name, explanation, case, options=options, noise=noise, draws=draws, randoms=randoms)
        findings += [_reactivity(found, level), _noise_resilience(found, level)]
    return findings


def _reactivity(found: Reliability, level: float) -> Finding:
    wins = found.win_rates("shuffled")
    mean = float(wins.mean()) if len(wins) else float("nan")
    finding = judged_finding(
        REACTIVITY,
        Basis("bounded", {"values": wins, "bounds": np.array([0.0, 1.0])}),
        level,
        THRESHOLDS.min_auroc,
        dict.fromkeys(DECIDED, "Leave this score out here, score more rows, or give it more draws or steps."),
        claim=f"{found.score} ranks {found.of} above a shuffled explanation {_share(mean)} of the time",
        subject=found.score,
        estimate=mean,
        null=0.5,
        n=len(wins),
        meaning="A score that does not separate a good explanation from a shuffled one is not informative about "
        "others.",
        evidence={"of": found.of, "rows left out": found.left_out, "verdict on all tests": found.verdict},
    )
    return finding if len(wins) else replace(finding, verdict="not applicable", basis=None)


def _noise_resilience(found: Reliability, level: float) -> Finding:
    noise_change, random_change = found.noise_change(), found.random_change
    is_defined = len(noise_change) > 1 and bool(random_change.mean() > 0)
    ratio = float(noise_change.mean() / random_change.mean()) if is_defined else float("nan")
    fields: dict[str, Any] = {
        "claim": f"the change of {found.score} under tiny noise is {_share(ratio)} of its change under random "
        "explanations",
        "subject": found.score,
        "estimate": ratio,
        "n": len(noise_change),
        "meaning": "A score that changes under noise too small to matter ranks explanations by that noise.",
        "evidence": {"of": found.of, "rows left out": found.left_out},
    }
    advice = "Leave this score out here, or give it more draws."
    if is_defined:
        basis = Basis("ratio", {"part": noise_change, "whole": random_change})
        texts = dict.fromkeys(DECIDED, advice)
        return judged_finding(NOISE_RESILIENCE, basis, level, THRESHOLDS.max_noise_ratio, texts, **fields)
    return Finding(
        code=NOISE_RESILIENCE.code,
        verdict="not applicable",
        interval=Interval(float("nan"), float("nan"), level, "undefined"),
        threshold=THRESHOLDS.max_noise_ratio,
        direction=NOISE_RESILIENCE.direction,
        advice=advice,
        **fields,
    )


def _share(value: float) -> str:
    return f"{value:.0%}" if np.isfinite(value) else "an undefined share"
