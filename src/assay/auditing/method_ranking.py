# SPDX-License-Identifier: Apache-2.0
"""The explanations of an audit compared with each other, score by score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assay.basics.seed import Seed
from assay.engine.comparison.criteria import CHANCE
from assay.engine.comparison.method_comparison import compare_methods
from assay.nouns.comparisons.method_comparison import MethodComparison
from assay.nouns.results.result import Finding, Score

DRAWS = 1000


def ranked(
    scores: Mapping[tuple[str, str], Score],
    names: Sequence[str],
    findings: Sequence[Finding],
    seed: Seed,
    level: float,
) -> MethodComparison | None:
    """The comparison over all scores with a better side that every explanation has; ``None`` below two of them.

    Scores that a finding shows to be unreliable on this model are left out, with the reason.
    """
    everyone = [*names, *([CHANCE] if any(name == CHANCE for name, _ in scores) else [])]
    common = [
        score
        for score in dict.fromkeys(score for _, score in scores)
        if all((name, score) in scores for name in everyone) and scores[everyone[0], score].better != "neither"
    ]
    failed = {f.subject for f in findings if f.code.startswith("SCO") and f.verdict == "fail"}
    kept = [score for score in common if score not in failed]
    if len(names) < 2 or not kept:
        return None
    table = {name: {score: scores[name, score] for score in kept} for name in everyone}
    return compare_methods(table, draws=DRAWS, seed=seed.child("ranked"), level=level)
