# SPDX-License-Identifier: Apache-2.0
"""Whether the scores can be believed on this model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from assay.basics.stats import Basis, Interval
from assay.cases.case import Case
from assay.engine.comparison.meta_evaluation import Asked, meta_evaluation, score_of
from assay.engine.cost import Given, cost_of
from assay.engine.declare import diagnostic
from assay.nouns.catalogue import Cost
from assay.nouns.comparisons.score_reliability import Reliability
from assay.nouns.results.result import Explanation, Finding, judge

ASKED = Asked()


def _priced(case: Case, o: Given, again: Cost) -> Cost:
    each = [cost_of(score_of(name), case, options) for name, options in o.scores.items()]
    return sum(each, Cost()) * (1 + o.draws + 2 * o.randoms)


@diagnostic(source="hedstrom2023", cost=_priced)
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
    """Whether each score tells a good explanation from chance on this model, and keeps still under tiny noise.

    ``scores`` gives names and options; ``explanation`` should be one that is known to be good, since a bad one cannot
    win. SCO101: within a row, the chance that the explanation scores better than a shuffled one (ties half), which must
    be 0.75 at least. SCO102: how much normal noise of ``noise`` times a row's spread moves the score, as a share of
    how much chance moves it (ratio of paired means, Fieller's interval), which must be 0.1 at most. Each at ``level``.
    A score that fails either should decide nothing here. ``assay.meta_evaluation`` tells all it looks at.
    """
    findings = []
    for name, options in scores.items():
        found = meta_evaluation(name, explanation, case, options=options, noise=noise, draws=draws, randoms=randoms)
        findings += [_reacts(found, level), _still(found, level)]
    return findings


def _reacts(found: Reliability, level: float) -> Finding:
    wins = found.wins("shuffled")
    basis = Basis("bounded", {"values": wins, "bounds": np.array([0.0, 1.0])})
    interval = basis.at(level)
    mean = float(wins.mean()) if len(wins) else float("nan")
    return Finding(
        code="SCO101",
        verdict=judge(interval, ASKED.wins, "at least") if len(wins) else "not applicable",
        claim=f"{found.score} ranks {found.of} above a shuffled explanation {_share(mean)} of the time",
        subject=found.score,
        estimate=mean,
        interval=interval,
        threshold=ASKED.wins,
        direction="at least",
        null=0.5,
        n=len(wins),
        meaning="A score that cannot tell a good explanation from a shuffled one says nothing about others.",
        advice="Leave this score out here, score more rows, or give it more draws or steps.",
        evidence={"of": found.of, "rows left out": found.left_out, "verdict on all tests": found.verdict},
        basis=basis if len(wins) else None,
    )


def _still(found: Reliability, level: float) -> Finding:
    moved, swing = found.moved(), found.swing
    able = len(moved) > 1 and bool(swing.mean() > 0)
    basis = Basis("ratio", {"part": moved, "whole": swing})
    interval = basis.at(level) if able else Interval(float("nan"), float("nan"), level, "undefined")
    ratio = float(moved.mean() / swing.mean()) if able else float("nan")
    return Finding(
        code="SCO102",
        verdict=judge(interval, ASKED.moved, "at most") if able else "not applicable",
        claim=f"tiny noise moves {found.score} by {_share(ratio)} of what chance does",
        subject=found.score,
        estimate=ratio,
        interval=interval,
        threshold=ASKED.moved,
        direction="at most",
        n=len(moved),
        meaning="A score that moves under noise too small to matter orders explanations by that noise.",
        advice="Leave this score out here, or give it more draws.",
        evidence={"of": found.of, "rows left out": found.left_out},
        basis=basis if able else None,
    )


def _share(value: float) -> str:
    return f"{value:.0%}" if np.isfinite(value) else "an undefined share"
