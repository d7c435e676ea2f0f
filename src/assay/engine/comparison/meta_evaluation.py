# SPDX-License-Identifier: Apache-2.0
"""A score put to the test on this model: still under noise, moved by chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from assay.basics.clustered import student_of_clusters
from assay.basics.errors import InputError
from assay.basics.reliability import intraclass
from assay.basics.seed import Seed
from assay.basics.stats import Interval, bounded, spearman
from assay.basics.types import Floats, PerPart, PerRow
from assay.cases.case import Case
from assay.engine.coalitions.masks import present
from assay.engine.cost import cost_of
from assay.engine.declare import Declared, recompute
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Cost, Method, find, known
from assay.nouns.comparisons.score_reliability import Check, Reliability, won
from assay.nouns.results.result import Explanation, Score


@dataclass(frozen=True)
class Asked:
    """What is asked of a score: the least share of variance between rows, the most noise, the least chance to win."""

    steady: float = 0.75
    moved: float = 0.1
    wins: float = 0.75


def meta_evaluation(
    score: str | Declared[..., Score],
    explanation: Explanation,
    case: Case,
    *,
    options: Mapping[str, Any] | None = None,
    noise: float = 0.01,
    ball: Ball | None = None,
    draws: int = 5,
    randoms: int = 10,
    asked: Asked = Asked(),
    level: float = 0.95,
) -> Reliability:
    """Whether a score keeps still under tiny noise and moves under chance, on this model and these rows.

    Still: the score is made again ``draws`` times with normal noise of ``noise`` times each row's standard deviation on
    the values and, with ``ball``, with the inputs moved within it and explained again. Of both, ICC(1,1) must reach
    ``asked.steady``; or noise must move the score by at most ``asked.moved`` of what chance moves it (ratio of mean
    absolute changes), so that a score that finds all rows alike is not called restless. Spearman's correlation over
    rows is told beside.

    Reacts: within a row, the chance that the explanation scores better than a shuffled one, and than independent
    normal draws, ties half (the area under the ROC curve, row by row, ``randoms`` of each): its mean over rows must
    reach ``asked.wins``. A bad explanation cannot win either, so ask this of one that is known to be good. Intervals
    are over rows. Each demand is judged alone, at ``level``.

    Rows where the score is ever undefined are left out, and counted. Refused: scores without a better side, and scores
    that explain again (they judge the method, and swapping its values proves nothing). Values finer than the parts are
    not used. MetaQuantus (Hedström et al. 2023) differs: it averages p-values, and tests for order by position.
    """
    method = score_of(score)
    given = dict(options or {})
    _refuse(method, explanation, case, given, (noise, draws, randoms))
    bare = replace(explanation, dense=None, stderr=None)
    meter = case.model.meter
    before = meter.forwards, meter.backwards

    def scored(values: PerPart) -> PerRow:
        return np.asarray(cast(Score, method.call(replace(bare, values=values), case, **given)).values)

    found: dict[str, Floats] = {"given": scored(bare.values)}
    makers: dict[str, Callable[[Seed], PerPart]] = {
        "explanation": lambda seed: _noisy(bare, case, noise, seed),
        "shuffled": lambda seed: _shuffled(bare, case, seed),
        "random": lambda seed: _drawn(bare, case, seed),
    }
    for name, maker in makers.items():
        times = draws if name == "explanation" else randoms
        seeds = [case.seed.child("meta", name, draw) for draw in range(times)]
        found[name] = np.stack([scored(maker(seed)) for seed in seeds], axis=1)
    if ball is not None:
        moved = [_moved(method, explanation, case, ball, given, draw) for draw in range(draws)]
        found["input"] = np.stack(moved, axis=1)
    cost = {"forwards": meter.forwards - before[0], "backwards": meter.backwards - before[1]}
    return _judged(method, explanation, found, asked, level, {what: count for what, count in cost.items() if count})


def score_of(score: str | Declared[..., Score]) -> Method:
    """The score's record, by its name or by the function."""
    if isinstance(score, str):
        if not any(known("evaluate")):
            raise InputError(f"no score is loaded, so {score!r} is not known yet; import assay.evaluate first.")
        return find("evaluate", score)
    method = getattr(score, "method", None)
    if not isinstance(method, Method) or method.verb != "evaluate":
        raise InputError(f"score={score!r} is no score; give a function of assay.evaluate, or its name.")
    return method


def explains_again(method: Method, case: Case, options: Mapping[str, Any]) -> bool:
    """Whether the score asks for further explanations, as its price tells."""
    if method.cost is None:
        return False
    alone, again = (cost_of(method, case, options, cost) for cost in (Cost(), Cost(len(case), len(case))))
    return alone != again


def _refuse(method: Method, explanation: Explanation, case: Case, options: Any, sizes: tuple[float, int, int]) -> None:
    noise, draws, randoms = sizes
    if not noise > 0 or draws < 1 or randoms < 1:
        raise InputError(f"noise={noise}, draws={draws}, randoms={randoms}; noise is above 0, draws are at least 1.")
    if method.better == "neither":
        raise InputError(f"evaluate.{method.name} has no better side, so no explanation can win by it.")
    if explains_again(method, case, options):
        raise InputError(
            f"evaluate.{method.name} explains again: it judges the method {explanation.provenance.method}, not "
            f"the values at hand. Compare it between methods, with explain.random beside them."
        )


def _noisy(explanation: Explanation, case: Case, noise: float, seed: Seed) -> PerPart:
    return np.where(present(case), explanation.values + noise * _scaled(explanation, case, seed), explanation.values)


def _drawn(explanation: Explanation, case: Case, seed: Seed) -> PerPart:
    return np.where(present(case), _scaled(explanation, case, seed), 0.0)


def _scaled(explanation: Explanation, case: Case, seed: Seed) -> PerPart:
    """Normal draws with the standard deviation of each row's values; row streams follow ids."""
    spread = np.std(explanation.values, axis=1, where=present(case))
    drawn = [seed.child(name).generator().standard_normal(explanation.values.shape[1]) for name in explanation.ids]
    return np.stack(drawn) * spread[:, None]


def _shuffled(explanation: Explanation, case: Case, seed: Seed) -> PerPart:
    values = explanation.values.copy()
    for row, (name, own) in enumerate(zip(explanation.ids, present(case))):
        values[row, own] = seed.child(name).generator().permutation(values[row, own])
    return values


def _moved(
    method: Method, explanation: Explanation, case: Case, ball: Ball, options: Mapping[str, Any], draw: int
) -> PerRow:
    """The score of the same method's explanation at inputs moved within the ball; labels stay."""
    there = case.at(ball.draw(case.rows, case.seed.child("meta", "input", draw)))
    other = recompute(explanation, replace(there, seed=explanation.provenance.seed))
    return np.asarray(method.call(replace(other, dense=None, stderr=None), there, **options).values)


def _judged(
    method: Method,
    explanation: Explanation,
    found: Mapping[str, Floats],
    asked: Asked,
    level: float,
    cost: Mapping[str, int],
) -> Reliability:
    whole = np.all([np.isfinite(one.reshape(len(one), -1)).all(axis=1) for one in found.values()], axis=0)
    own = found["given"][whole]
    chance = np.concatenate([found["shuffled"][whole], found["random"][whole]], axis=1)
    swing = np.abs(chance - own[:, None]).mean(axis=1)
    still, alike = {}, {}
    for noise in [name for name in ("explanation", "input") if name in found]:
        noisy = found[noise][whole]
        share, limits = intraclass(np.column_stack([own, noisy]), level)
        ratio, band = _ratio(np.abs(noisy - own[:, None]).mean(axis=1), swing, level)
        steady = Check("ICC", share, limits, asked.steady, "at least", len(own))
        still[noise] = (steady, Check("noise / chance", ratio, band, asked.moved, "at most", len(own)))
        alike[noise] = float(spearman(np.broadcast_to(own, noisy.T.shape), noisy.T).mean()) if len(own) > 2 else np.nan
    reacts = {}
    for kind in ("shuffled", "random"):
        wins = won(own, found[kind][whole], method.better)
        limits = bounded(wins, 0.0, 1.0, level)
        mean = float(wins.mean()) if len(wins) else float("nan")
        reacts[kind] = Check("AUROC", mean, limits, asked.wins, "at least", len(own))
    of, gone = explanation.provenance.method, int((~whole).sum())
    return Reliability(method.name, of, still, reacts, alike, dict(found), gone, level, cost, method.better)


def _ratio(moved: PerRow, swing: PerRow, level: float) -> tuple[float, Interval]:
    """Mean change by noise over mean change by chance, with the interval of a ratio of paired means.

    The limit r is where mean(moved − r · swing) is just told from 0; here to first order (delta method). NaN where
    chance changes nothing, or with fewer than two rows.
    """
    if len(moved) < 2 or not swing.mean() > 0:
        return float("nan"), Interval(np.nan, np.nan, level, "undefined")
    ratio = float(moved.mean() / swing.mean())
    limits = student_of_clusters((moved - ratio * swing) / swing.mean(), None, level)
    return ratio, Interval(max(0.0, ratio + limits.low), ratio + limits.high, level, "ratio of means")
