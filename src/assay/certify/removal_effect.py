# SPDX-License-Identifier: Apache-2.0
"""How surely the removal of an explanation's top features lowers the target."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.samples.binomial_limits import lower_rate_limits
from assay.basics.types import Floats, Masks, PerRow
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.capabilities import NEEDS
from assay.engine.certified_model import describe_model_itself
from assay.engine.coalitions.masks import present_parts, random_parts
from assay.engine.cost import Given
from assay.engine.declare import certifier
from assay.engine.removal.ordered_removal import removal_ranks
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Check, Cost
from assay.nouns.results.result import Explanation, Note


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The target without the top and without random features; in a ball both, and the target itself, at every point."""
    drawn = 0 if o.ball is None else o.draws
    return Cost(2 * o.remove.fills * (1 + drawn) + drawn) * (len(case) * case.model.passes_per_row)


@certifier(
    source="assay2026",
    cost=_cost,
    checks=(
        Check(
            "CRT103",
            "For how many rows does the removal of the top features lower the target by enough?",
            "Compare with random features of the same number, and with the scores of faithfulness.",
            claim="the removal of the top features lowers the target by enough in {estimate:.0%} of the rows",
            reads="holds",
            bounds=(0.0, 1.0),
        ),
    ),
)
def removal_effect(
    explanation: Explanation,
    case: Case,
    *,
    share: float = 0.1,
    effect: float = 0.2,
    ball: Ball | None = None,
    draws: int = 200,
    confidence: float = 0.95,
    remove: Removal = DEFAULT,
) -> dict[str, Any]:
    """How much the removal of the top features lowers the target, as a share of it; and how often by enough.

    ``drop`` (row,) = (v(N) − v(N ∖ top)) / |v(N)| for the ⌈``share`` · n⌉ features with the highest values: exact, one
    evaluation a row and filling. NaN where v(N) is 0. The statement is: removing the top ``share`` lowers the target by
    at least ``effect``; extra["holds"] (row,) is 1 where it is true. Over rows like these, drawn independently, it is
    true with a probability of at least extra["share_low"], the one-sided Clopper–Pearson limit at ``confidence``.

    With a ``ball`` the statement is also tested at ``draws`` uniform points of the ball around each row, with the
    features of the explanation of the row itself: ``share_low`` (row,) is the lower limit of the share of the ball
    where it is true, at ``confidence`` for each row. It is no statement about the worst point.

    ``control`` holds the same for random features, as many as are removed. Choose a target that is positive, such as
    the probability of the class: of a negative score, |v(N)| is what the drop is compared with.
    """
    if not isinstance(explanation, Explanation):
        raise InputError(
            f"removal_effect removes the top features of an explanation; got {type(explanation).__name__}."
        )
    if not 0 < share <= 1 or not np.isfinite(effect) or draws < 1:
        raise InputError(f"share={share}, effect={effect}, draws={draws}; needed: 0 < share ≤ 1, a number, draws ≥ 1.")
    top, other = _leading_and_random(explanation, case, share)
    undefined = np.isnan(explanation.values).any(axis=1)
    drop, control = (_drop(case, remove, removed) for removed in (top, other))
    drop[undefined] = np.nan
    bounds, controls = {"drop": drop}, {"drop": control}
    known = drop[~np.isnan(drop)]
    low = lower_rate_limits((known >= effect).sum(), len(known), 1 - confidence) if len(known) else np.zeros(())
    if ball is not None:
        low_top, low_other = _in_ball(case, remove, (top, other), effect, ball, draws, confidence)
        bounds["share_low"], controls["share_low"] = np.where(undefined, np.nan, low_top), low_other
    return {
        "bounds": bounds,
        "abstained": np.isnan(drop),
        "theorem": "evaluation of v at one set"
        + ("" if ball is None else "; Clopper–Pearson limit of a rate (Clopper and Pearson 1934)"),
        "assumptions": (
            f"features are removed by {remove!r}, and the model is deterministic",
            f"the statement: removing the top {share:.0%} of the features lowers the target by at least {effect:.0%}",
            "the share over rows holds for rows drawn as these are; that over a ball for uniform points, not the worst",
        ),
        "confidence": 1.0 if ball is None else confidence,
        "draws": 0 if ball is None else draws,
        "guarantee": "exact" if ball is None else "probabilistic",
        "unit": "share of the target" + ("" if ball is None else "; share of the ball"),
        **describe_model_itself(case),
        "control": controls,
        "extra": {
            "holds": np.where(np.isnan(drop), np.nan, (drop >= effect).astype(float)),
            "random_holds": np.where(np.isnan(control), np.nan, (control >= effect).astype(float)),
            "share": np.array([np.mean(known >= effect) if len(known) else np.nan]),
            "share_low": np.array([float(low)]),
        },
        "notes": (*_undefined(case, np.isnan(drop)),),
    }


def _leading_and_random(explanation: Explanation, case: Case, share: float) -> tuple[Masks, Masks]:
    """The top features (row, part) of the explanation, and as many random ones."""
    exists = present_parts(case)
    sizes = np.ceil(share * exists.sum(axis=1) - 1e-9).astype(np.int64)
    top = (removal_ranks(explanation, case) < sizes[:, None]) & exists
    return np.asarray(top), random_parts(case, sizes)


def _drop(case: Case, remove: Removal, removed: Masks) -> PerRow:
    """The decrease of the target (row,) as a share of it; NaN where it is 0."""
    without = case.game(remove)(np.arange(len(case)), ~removed)
    size = np.abs(case.output)
    return np.divide(case.output - without, size, out=np.full(len(case), np.nan), where=size > 0)


def _in_ball(
    case: Case,
    remove: Removal,
    removed: tuple[Masks, Masks],
    effect: float,
    ball: Ball,
    draws: int,
    confidence: float,
) -> list[Floats]:
    """For each set of features, the lower limit (row,) of the share of the ball where the drop is large enough."""
    if not NEEDS["numbers"][0](case):
        raise CapabilityError("removal_effect in a ball needs numeric inputs; leave ball= out for text and categories.")
    hits = np.zeros((len(removed), len(case)))
    for draw in range(draws):
        points = case.at(ball.draw(case.rows, case.seed.child("removal effect", draw)))
        hits += [np.nan_to_num(_drop(points, remove, one), nan=-np.inf) >= effect for one in removed]
    return [lower_rate_limits(one, draws, 1 - confidence) for one in hits]


def _undefined(case: Case, undefined: Masks) -> tuple[Note, ...]:
    rows = tuple(name for name, hit in zip(case.rows.ids, undefined) if hit)
    text = f"the drop is undefined for {len(rows)} of {len(case)} rows: the target is 0 or the explanation NaN there"
    return (Note("undefined", text, rows),) if rows else ()
