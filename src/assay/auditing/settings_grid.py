# SPDX-License-Identifier: Apache-2.0
"""An audit's explanations ranked under other settings of a score: which settings, their price, what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from assay.auditing.setting import Setting
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.removals import Conditional, Constant, Mean, Removal
from assay.cases.sibling_targets import link_sibling_cases
from assay.engine.comparison.criteria import CHANCE, CRITERIA
from assay.engine.comparison.settings_grid import SIGNS, settings_cost, settings_grid
from assay.nouns.catalogue import Cost, find
from assay.nouns.comparisons.settings_grid import SettingsGrid
from assay.nouns.results.result import Explanation, Finding

NAME, CODE = "settings_grid", "SCO103"
"""The step's name, and the check that it serves."""

TARGETS: Mapping[str, tuple[str, ...]] = {
    "logits": ("logit", "log_odds", "probability"),
    "margin": ("margin", "log_odds", "probability"),
    "probabilities": ("probability", "log_odds"),
}
"""What the audit's score may be read off, by what a model gives."""

COARSER = 4
"""How many times as many parts go at once on the coarser of two curves."""

NEIGHBOURS = 10
"""Rows that fill a table's absent columns from their neighbours, or a quarter of the background where it is small."""

DRAWS = 1000
FIRM = 0.95
"""Draws of the rows, and the share of them in which a method must be best to be called so firmly."""


def ranked_by(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """The score whose settings are varied: the first asked that decides on faithfulness, the ladder's before others."""
    deciding = sorted(
        (c for c in CRITERIA if c.kind == "faithful" and c.score in scores), key=lambda c: not c.is_normalised
    )
    return deciding[0].score if deciding else ""


def axes(setting: Setting, score: str) -> dict[str, Any]:
    """The arguments of ``settings_grid``; what the audit itself uses comes first on each axis."""
    case, own = setting.case, dict(setting.profile.scores[score])
    given: dict[str, Any] = {"signs": SIGNS, "targets": _targets(case)}
    if "remove" in find("evaluate", score).options:
        given["removals"] = removals(setting)
    if "steps" in find("evaluate", score).options:
        given["steps"] = _steps(own.pop("steps", 0), len(case.features))
    return given | {"options": own}


def _targets(case: Case) -> tuple[Any, ...]:
    names = TARGETS.get(case.model.gives, ())
    if len(case.model.classes) == 2 and case.model.gives == "margin":
        names = ("margin", "probability")  # the log odds are the margin
    return (case.target, *(name for name in names if name != case.target.name))


def _steps(own: int, parts: int) -> tuple[int, ...]:
    points = parts if own == 0 else min(own, parts)
    return (own, points // COARSER) if points // COARSER > 1 else (own,)


def removals(setting: Setting) -> dict[str, Removal]:
    """How else parts of this kind of data are taken away, by names that a reader knows."""
    rows = setting.case.rows
    if len(rows.shape) == 3:
        return {"blur": setting.remove, "mean picture": Mean(rows.x), "zeros": Constant(0.0)}
    frame, found = setting.background, {"background rows": setting.remove}
    if rows.table is None or not rows.table.coded.any():
        found["mean"] = Mean(frame)
    k = max(1, min(NEIGHBOURS, len(frame) // 4))
    return {**found, f"{k} nearest rows" if k > 1 else "nearest row": Conditional(frame, k)}


def cost(setting: Setting, options: Mapping[str, Any], score: str, count: int) -> Cost:
    """What the grid of so many explanations asks of the model, whose own answers an audit knows."""
    told, case = settings_cost(count, setting.case, score, **options), setting.case
    return Cost(told.forwards - len(case) * case.model.passes, told.backwards)


def made(score: str, options: Mapping[str, Any], setting: Setting, named: Mapping[str, Explanation]) -> SettingsGrid:
    """The grid, asked through games of its own: what it asks, and in which batches, is what an audit that goes on asks.

    A target alone knows what the audit's own game has learnt; of several, the others could not be read off that.
    """
    asked = setting.case
    (own,) = link_sibling_cases(asked, [asked.with_target()])
    if len(options["targets"]) == 1 and "removals" in options:
        own.game(setting.remove).learn(asked.game(setting.remove).answers())
    seed = asked.seed.child("audit", NAME)
    return settings_grid(named, own, score, **options, draws=DRAWS, seed=seed)


def finding(grid: SettingsGrid) -> Finding:
    """Whether the order of the explanations is the score's doing or the setting's; it informs, and never fails."""
    said: dict[str, Any] = {
        "code": CODE,
        "subject": grid.score,
        "meaning": "How far the ranking of the explanations moves when removal, output space, steps and signs of the "
        "score change: an order that hangs on such choices tells of the score, not of the model.",
        "advice": "Say under which setting a ranking was made; where another method wins under another setting, call "
        "neither better.",
    }
    try:
        most = grid.farthest
    except InputError as error:
        return Finding(verdict="not applicable", claim=f"{grid.score} ranks nothing here: {error}", **said)
    others = [place for place in np.flatnonzero(grid.comparable).tolist() if place]
    lost = [place for place in others if grid.best not in grid.winners(place)]
    evidence = {
        "usual setting": str(grid.settings[0]),
        "first there": grid.best,
        "settings compared": len(others),
        "settings left out": len(grid.settings) - 1 - len(others),
        "first elsewhere": len(lost),
        "firmly elsewhere": sum(firm(grid, place) for place in lost),
        "random as good or better": len(grid.overtaken),
        "farthest along each axis": {
            axis: {"method": one.method, "usual rank": one.usual, "rank": one.there, "setting": str(one.setting)}
            for axis, one in grid.farthest_alone.items()
        },
    }
    return Finding(
        verdict="informative",
        claim=f"{_first(grid, lost, len(others))}; {_moved(grid)}",
        estimate=abs(most.change),
        n=int(grid.rows[0]),
        evidence=evidence,
        **said,
    )


def firm(grid: SettingsGrid, place: int) -> bool:
    """Whether a method other than the usual winner is best under a setting however the rows are drawn again."""
    return any(grid.first[place, grid.methods.index(name)] >= FIRM for name in grid.winners(place) if name != grid.best)


def _first(grid: SettingsGrid, lost: Sequence[int], others: int) -> str:
    surely = sum(firm(grid, place) for place in lost)
    head = f"{grid.best} comes first of {len(grid.ranked)} by {grid.score} ({grid.settings[0]})"
    if not others:
        return f"{head}, and no other setting could be compared"
    if not lost:
        return f"{head}, and under all {others} other settings"
    return f"{head}; under {len(lost)} of {others} other settings another method does, firmly under {surely}"


def _moved(grid: SettingsGrid) -> str:
    most = grid.farthest
    if not most.change:
        return "no rank moves"
    return f"the farthest move is {most.method}'s, from rank {most.usual:g} to {most.there:g} ({most.setting})"


def ranked(names: Iterable[str], references: Sequence[str]) -> list[str]:
    """The explanations that are ranked, and random beside them."""
    return [name for name in names if name not in references or name == CHANCE]
