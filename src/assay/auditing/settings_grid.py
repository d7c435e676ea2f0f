# SPDX-License-Identifier: Apache-2.0
"""Ranking of an audit's explanations under other settings of a score: the settings, their cost, the finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from assay.auditing.planning.scope import AuditScope
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.removals import Conditional, Constant, Mean, Removal
from assay.cases.sibling_targets import link_sibling_cases
from assay.engine.comparison.criteria import RANDOM, criteria
from assay.engine.comparison.settings_grid import SIGNS, settings_cost, settings_grid
from assay.nouns.catalogue import Check, Cost, enter_check, find
from assay.nouns.comparisons.settings_grid import SettingsGrid
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Explanation

NAME = "settings_grid"
"""The name of the step."""

CHECK = enter_check(
    Check(
        "SCO103",
        "Does the ranking of the explanations hold under other settings of the score?",
        "State the setting with the ranking; where another method ranks first under another setting, call neither "
        "better.",
    )
)
"""The check that the step answers; it informs and never fails."""

TARGETS: Mapping[str, tuple[str, ...]] = {
    "logits": ("logit", "log_odds", "probability"),
    "margin": ("margin", "log_odds", "probability"),
    "probabilities": ("probability", "log_odds"),
}
"""The targets that the score can be computed on, by what a model outputs."""

COARSER = 4
"""How many times as many features are removed at once on the coarser of two curves."""

NEIGHBOURS = 10
"""Number of nearest rows that fill removed columns of a table; a quarter of the background where it is small."""

DRAWS = 1000
"""Bootstrap draws of the rows."""

STABLE_RATE = 0.95
"""Share of the bootstrap draws in which a method must rank first for a stable first rank."""


def ranking_score(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """The score whose settings are varied: the first faithfulness score of the audit, preferably a normalised one."""
    faithful = (check for check in criteria() if check.kind == "faithful" and check.score in scores)
    return next((check.score for check in sorted(faithful, key=lambda c: not c.is_normalised)), "")


def grid_options(scope: AuditScope, score: str) -> dict[str, Any]:
    """The arguments of ``settings_grid``; the audit's own setting comes first on each axis."""
    case, own = scope.case, dict(scope.profile.scores[score])
    given: dict[str, Any] = {"signs": SIGNS, "targets": _targets(case)}
    if "remove" in find("evaluate", score).options:
        given["removals"] = removals(scope)
    if "steps" in find("evaluate", score).options:
        given["steps"] = _steps(own.pop("steps", 0), len(case.features))
    return given | {"options": own}


def _targets(case: Case) -> tuple[Any, ...]:
    names = TARGETS.get(case.model.gives, ())
    if case.model.kind.link == "none":  # scores without probabilities
        names = ()
    elif len(case.model.classes) == 2 and case.model.gives == "margin":
        names = ("margin", "probability")  # the log odds are the margin
    return (case.target, *(name for name in names if name != case.target.name))


def _steps(own: int, features: int) -> tuple[int, ...]:
    points = features if own == 0 else min(own, features)
    return (own, points // COARSER) if points // COARSER > 1 else (own,)


def removals(scope: AuditScope) -> dict[str, Removal]:
    """The removals that are compared for this kind of data, by display name."""
    rows = scope.case.rows
    if len(rows.shape) == 3:
        return {"blur": scope.remove, "mean image": Mean(rows.x), "zeros": Constant(0.0)}
    if rows.text is not None:
        zeros = {"zeros": Constant(0.0)} if len(rows.shape) == 2 else {}
        return {"removed words": scope.remove, **zeros}
    frame, found = scope.background, {"background rows": scope.remove}
    if rows.table is None or not rows.table.coded.any():
        found["mean"] = Mean(frame)
    k = max(1, min(NEIGHBOURS, len(frame) // 4))
    return {**found, f"{k} nearest rows" if k > 1 else "nearest row": Conditional(frame, k)}


def grid_cost(scope: AuditScope, options: Mapping[str, Any], score: str, count: int) -> Cost:
    """The cost of the grid for ``count`` explanations, without the model's own output, which is already computed."""
    cost, case = settings_cost(count, scope.case, score, **options), scope.case
    return Cost(cost.forwards - len(case) * case.model.passes_per_row, cost.backwards)


def compute_grid(
    score: str, options: Mapping[str, Any], scope: AuditScope, named: Mapping[str, Explanation]
) -> SettingsGrid:
    """The grid, evaluated with its own games, so that a resumed audit evaluates the same batches.

    A single target uses the cache of the audit's game; the cache does not hold several targets.
    """
    case = scope.case
    (own,) = link_sibling_cases(case, [case.with_target()])
    if len(options["targets"]) == 1 and "removals" in options:
        own.game(scope.remove).cache.import_entries(case.game(scope.remove).cache.export_entries())
    seed = case.seed.child("audit", NAME)
    return settings_grid(named, own, score, **options, draws=DRAWS, seed=seed)


def finding(grid: SettingsGrid) -> Finding:
    """Whether the ranking of the explanations depends on the setting of the score; it informs and never fails."""
    about: dict[str, Any] = {
        "code": CHECK.code,
        "subject": grid.score,
        "meaning": "How far ranks change when removal, output space, steps and signs of the score change: a ranking "
        "that depends on such choices describes the score, not the model.",
        "advice": CHECK.remedy,
    }
    try:
        most = grid.largest_rank_change
    except InputError as error:
        return Finding(verdict="not applicable", claim=f"{grid.score} gives no ranking here: {error}", **about)
    others = [index for index in np.flatnonzero(grid.comparable).tolist() if index]
    different = [index for index in others if grid.best not in grid.winners(index)]
    evidence = {
        "audit's setting": str(grid.settings[0]),
        "first under the audit's setting": grid.best,
        "settings compared": len(others),
        "settings left out": len(grid.settings) - 1 - len(others),
        "settings with another first": len(different),
        "settings with another stable first": sum(is_stable_first(grid, index) for index in different),
        "random as good or better": len(grid.not_better_than_random),
        "largest rank change by axis": {
            axis: {
                "method": one.method,
                "audit's rank": one.default_rank,
                "rank": one.rank,
                "setting": str(one.setting),
            }
            for axis, one in grid.largest_rank_change_by_axis.items()
        },
    }
    return Finding(
        verdict="informative",
        claim=f"{_first_rank_text(grid, different, len(others))}; {_rank_change_text(grid)}",
        estimate=abs(most.change),
        n=int(grid.rows[0]),
        evidence=evidence,
        **about,
    )


def is_stable_first(grid: SettingsGrid, index: int) -> bool:
    """Whether another method than the audit's first ranks first under a setting in nearly all bootstrap draws."""
    rates = grid.best_rate[index]
    others = [name for name in grid.winners(index) if name != grid.best]
    return any(rates[grid.methods.index(name)] >= STABLE_RATE for name in others)


def _first_rank_text(grid: SettingsGrid, different: Sequence[int], others: int) -> str:
    stable = sum(is_stable_first(grid, index) for index in different)
    start = f"{grid.best} ranks first of {len(grid.ranked)} by {grid.score} ({grid.settings[0]})"
    if not others:
        return f"{start}, and no other setting could be compared"
    if not different:
        return f"{start}, and under all {others} other settings"
    return (
        f"{start}; under {len(different)} of {others} other settings another method does ({stable} of them in nearly "
        f"all bootstrap draws)"
    )


def _rank_change_text(grid: SettingsGrid) -> str:
    most = grid.largest_rank_change
    if not most.change:
        return "no rank changes"
    return (
        f"the largest change is that of {most.method}, from rank {most.default_rank:g} to {most.rank:g} "
        f"({most.setting})"
    )


def ranked_names(names: Iterable[str], references: Sequence[str]) -> list[str]:
    """Names of the explanations that are ranked, and of the random reference."""
    return [name for name in names if name not in references or name == RANDOM]
