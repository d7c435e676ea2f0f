# SPDX-License-Identifier: Apache-2.0
"""Ranking of an audit's explanation methods, score by score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assay.basics.seed import Seed
from assay.engine.comparison.criteria import RANDOM
from assay.engine.comparison.method_comparison import compare_methods
from assay.nouns.comparisons.method_comparison import MethodComparison
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Score

DRAWS = 1000
"""Bootstrap draws of the rows."""


def rank_methods(
    scores: Mapping[tuple[str, str], Score],
    names: Sequence[str],
    findings: Sequence[Finding],
    seed: Seed,
    level: float,
) -> MethodComparison | None:
    """The comparison by every score that has a better direction and was computed for all explanations.

    ``None`` for fewer than two explanations or no such score. Scores that a finding shows to be unreliable on this
    model are left out.
    """
    compared = [*names, *([RANDOM] if any(name == RANDOM for name, _ in scores) else [])]
    common = [
        score
        for score in dict.fromkeys(score for _, score in scores)
        if all((name, score) in scores for name in compared) and scores[compared[0], score].better != "neither"
    ]
    failed = {f.subject for f in findings if f.code.startswith("SCO") and f.verdict == "fail"}
    reliable = [score for score in common if score not in failed]
    if len(names) < 2 or not reliable:
        return None
    table = {name: {score: scores[name, score] for score in reliable} for name in compared}
    return compare_methods(table, draws=DRAWS, seed=seed.child("ranked"), level=level)
