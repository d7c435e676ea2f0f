# SPDX-License-Identifier: Apache-2.0
"""Whether the reference explanation ranks features better than chance under another removal than its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Basis
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.check_findings import advice_for, judged_finding
from assay.engine.comparison.normalised_scores import orient
from assay.engine.cost import Given, cost_of
from assay.engine.declare import diagnostic
from assay.nouns.catalogue import Check, Cost, Method, find
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Explanation

MIN_WINS = 0.6
"""Default threshold: how often the explanation ranks better than a random one of the same row."""

SECOND = Check(
    "EXP204",
    "Does the ranking of the reference explanation beat a random one under another removal?",
    "Use another explanation, or another removal: this ranking holds only for the removal it was computed with.",
    MIN_WINS,
    "at least",
    kind="faithful",
    severe=0.4,
)


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    each = cost_of(find("evaluate", o.score), case, {**o.options, "remove": o.second})
    return each * (1 + o.draws)


@diagnostic(source="hooker2019", cost=_cost, checks=(SECOND,))
def second_removal(
    case: Case,
    explanation: Explanation,
    *,
    second: Removal,
    score: str = "deletion",
    options: Mapping[str, Any] | None = None,
    draws: int = 3,
    level: float = 0.95,
) -> list[Finding]:
    """Whether an explanation ranks features better than chance under a removal that it was not computed with.

    The reference method defines the unit of normalised scores, and Shapley values fit the very removal that the scores
    use; so it is judged under a ``second`` removal. ``score`` is an ordered score (deletion, insertion, …) with its
    ``options``. EXP204: mean over rows of the share of ``draws`` random rankings of the same features that score worse
    (ties half), 0 … 1, 0.5 by chance; at least 0.6. Student's interval with a value added at each bound. Rows whose
    score is undefined are left out. ``InputError`` for a score that takes no removal, fewer than one draw, and
    options that are no mapping.
    """
    if options is not None and not isinstance(options, Mapping):
        raise InputError(f"options={options!r}; a mapping from names of the score's options to values is needed.")
    scorer, given = find("evaluate", score), dict(options or {})
    if "remove" not in scorer.options or scorer.better == "neither":
        raise InputError(f"score={score!r}; an ordered score by removal is needed, such as deletion or insertion.")
    if draws < 1:
        raise InputError(f"draws={draws}; at least one random ranking is needed.")
    wins = _wins(case, explanation, scorer, {**given, "remove": second}, draws)
    rates = wins[np.isfinite(wins)] / draws
    name = explanation.method
    fields: dict[str, Any] = {
        "subject": name,
        "n": len(rates),
        "meaning": f"Share of random rankings that score worse in {score} where removed features are filled in another "
        f"way than for the explanation: 0.5 by chance, 1 always better.",
        "evidence": {"removal": repr(second), "score": score, "rows left out": len(wins) - len(rates)},
    }
    if not len(rates):
        claim = f"{name}: {score} is undefined on every row under another removal"
        return [Finding(SECOND.code, "not applicable", claim, **fields)]
    mean = float(rates.mean())
    advice = {verdict: advice_for(SECOND, verdict) for verdict in ("pass", "fail", "undecided")}
    return [
        judged_finding(
            SECOND,
            Basis("bounded", {"values": rates, "bounds": np.array([0.0, 1.0])}),
            level,
            MIN_WINS,
            advice,
            claim=f"{name}: its ranking beats {mean:.0%} of random rankings where features are removed in another way",
            estimate=mean,
            null=0.5,
            **fields,
        )
    ]


def _wins(case: Case, explanation: Explanation, scorer: Method, options: Mapping[str, Any], draws: int) -> Floats:
    """Number of random rankings (row,) that score worse, ties half; NaN where a score is undefined."""
    random = find("explain", "random")
    own = orient(scorer.call(explanation, case, **options).values, scorer.better)
    wins: Floats = np.zeros(len(own))
    for draw in range(draws):
        drawn = random.call(replace(case, seed=case.seed.child("second removal", str(draw))))
        other = orient(scorer.call(drawn, case, **options).values, scorer.better)
        wins += np.where(np.isnan(own) | np.isnan(other), np.nan, (own > other) + 0.5 * (own == other))
    return wins
