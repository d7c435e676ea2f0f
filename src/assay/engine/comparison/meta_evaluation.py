# SPDX-License-Identifier: Apache-2.0
"""Meta-evaluation of a score on a model: its noise resilience and its reactivity to random explanations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from assay.basics.clustered import clustered_student_interval
from assay.basics.errors import InputError
from assay.basics.reliability import intraclass_correlation
from assay.basics.seed import Seed
from assay.basics.stats import Interval, bounded_mean_interval, spearman
from assay.basics.types import Floats, PerPart, PerRow
from assay.cases.case import Case
from assay.engine.arguments import with_default_removal
from assay.engine.coalitions.masks import present_parts
from assay.engine.cost import cost_of
from assay.engine.declare import Declared
from assay.engine.recompute import recompute
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Cost, Method, find, known
from assay.nouns.comparisons.score_reliability import Reliability, ReliabilityCheck, win_rate
from assay.nouns.results.result import Explanation, Score


@dataclass(frozen=True)
class ReliabilityThresholds:
    """Requirements of a reliable score: least ICC, largest noise ratio (change by noise / by chance), least AUROC."""

    min_icc: float = 0.75
    max_noise_ratio: float = 0.1
    min_auroc: float = 0.75


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
    thresholds: ReliabilityThresholds = ReliabilityThresholds(),
    level: float = 0.95,
) -> Reliability:
    """Whether a score is stable under tiny noise and reacts to random explanations, on this model and these rows.

    Noise resilience: the score is computed ``draws`` times with normal noise on the values, of ``noise`` times each
    row's standard deviation, and, with ``ball``, ``draws`` times for inputs perturbed within it and explained again.
    For both, ICC(1,1) must be at least ``thresholds.min_icc``, or the noise ratio at most
    ``thresholds.max_noise_ratio``: the mean absolute change of the score by noise over that by random explanations. The
    ratio allows for scores with nearly equal values on all rows, whose ICC is low. Spearman's correlation over rows is
    reported, too.

    Reactivity: within a row, the probability that the explanation scores better than a shuffled one, and than one of
    independent normal draws, ties counting half (the area under the ROC curve of each row, ``randoms`` draws each). The
    mean over rows must be at least ``thresholds.min_auroc``. Use an explanation that is known to be good: a bad one
    does not win either. Intervals are over rows. Each requirement is tested separately, at ``level``.

    Rows where the score is undefined for any draw are left out and counted. ``InputError`` for scores without a better
    direction and for scores that compute explanations again: these judge the method, so replaced values have no effect.
    Values finer than the parts are not used. MetaQuantus (Hedström et al. 2023) differs: it averages p-values, and
    tests for order by position.
    """
    method = score_method(score)
    given = with_default_removal(method, case, options or {})
    _check_arguments(method, explanation, case, given, (noise, draws, randoms))
    plain = replace(explanation, dense=None, stderr=None)
    meter = case.model.meter
    before = meter.forwards, meter.backwards

    def compute_score(values: PerPart) -> PerRow:
        return np.asarray(cast(Score, method.call(replace(plain, values=values), case, **given)).values)

    scores: dict[str, Floats] = {"given": compute_score(plain.values)}
    replacements: dict[str, Callable[[Seed], PerPart]] = {
        "explanation": lambda seed: _add_noise(plain, case, noise, seed),
        "shuffled": lambda seed: _shuffle(plain, case, seed),
        "random": lambda seed: _draw(plain, case, seed),
    }
    for name, replacement in replacements.items():
        times = draws if name == "explanation" else randoms
        seeds = [case.seed.child("meta", name, draw) for draw in range(times)]
        scores[name] = np.stack([compute_score(replacement(seed)) for seed in seeds], axis=1)
    if ball is not None:
        perturbed = [_score_at_perturbed_input(method, explanation, case, ball, given, draw) for draw in range(draws)]
        scores["input"] = np.stack(perturbed, axis=1)
    cost = {"forwards": meter.forwards - before[0], "backwards": meter.backwards - before[1]}
    spent = {name: count for name, count in cost.items() if count}
    return _reliability(method, explanation, scores, thresholds, level, spent)


def score_method(score: str | Declared[..., Score]) -> Method:
    """The record of a score, given by its name or by its function."""
    if isinstance(score, str):
        if not any(known("evaluate")):
            raise InputError(f"no scores are loaded, so {score!r} is unknown; import assay.evaluate first.")
        return find("evaluate", score)
    method = getattr(score, "method", None)
    if not isinstance(method, Method) or method.verb != "evaluate":
        raise InputError(f"score={score!r} is not a score; give a function of assay.evaluate, or its name.")
    return method


def recomputes_explanations(method: Method, case: Case, options: Mapping[str, Any]) -> bool:
    """Whether the score computes further explanations, according to its declared cost."""
    if method.cost is None:
        return False
    alone, again = (cost_of(method, case, options, cost) for cost in (Cost(), Cost(len(case), len(case))))
    return alone != again


def _check_arguments(
    method: Method, explanation: Explanation, case: Case, options: Any, sizes: tuple[float, int, int]
) -> None:
    noise, draws, randoms = sizes
    if not noise > 0 or draws < 1 or randoms < 1:
        raise InputError(
            f"noise={noise}, draws={draws}, randoms={randoms}; noise must be above 0, draws and randoms at least 1."
        )
    if method.better == "neither":
        raise InputError(f"evaluate.{method.name} has no better direction, so explanations cannot be ranked by it.")
    if recomputes_explanations(method, case, options):
        raise InputError(
            f"evaluate.{method.name} computes explanations again: it judges the method "
            f"{explanation.provenance.method}, not the given values. Compare methods by it, with explain.random as a "
            f"reference."
        )


def _add_noise(explanation: Explanation, case: Case, noise: float, seed: Seed) -> PerPart:
    return np.where(
        present_parts(case), explanation.values + noise * _normal_draws(explanation, case, seed), explanation.values
    )


def _draw(explanation: Explanation, case: Case, seed: Seed) -> PerPart:
    return np.where(present_parts(case), _normal_draws(explanation, case, seed), 0.0)


def _normal_draws(explanation: Explanation, case: Case, seed: Seed) -> PerPart:
    """Normal draws with the standard deviation of each row's values; a row's random stream depends on its id."""
    spread = np.std(explanation.values, axis=1, where=present_parts(case))
    draws = [seed.child(name).generator().standard_normal(explanation.values.shape[1]) for name in explanation.ids]
    return np.stack(draws) * spread[:, None]


def _shuffle(explanation: Explanation, case: Case, seed: Seed) -> PerPart:
    values = explanation.values.copy()
    for row, (name, own) in enumerate(zip(explanation.ids, present_parts(case))):
        values[row, own] = seed.child(name).generator().permutation(values[row, own])
    return values


def _score_at_perturbed_input(
    method: Method, explanation: Explanation, case: Case, ball: Ball, options: Mapping[str, Any], draw: int
) -> PerRow:
    """The score of the same method's explanation at inputs perturbed within the ball, for the same labels."""
    perturbed = case.at(ball.draw(case.rows, case.seed.child("meta", "input", draw)))
    other = recompute(explanation, replace(perturbed, seed=explanation.provenance.seed))
    return np.asarray(method.call(replace(other, dense=None, stderr=None), perturbed, **options).values)


def _reliability(
    method: Method,
    explanation: Explanation,
    scores: Mapping[str, Floats],
    thresholds: ReliabilityThresholds,
    level: float,
    cost: Mapping[str, int],
) -> Reliability:
    complete = np.all([np.isfinite(one.reshape(len(one), -1)).all(axis=1) for one in scores.values()], axis=0)
    own = scores["given"][complete]
    by_chance = np.concatenate([scores["shuffled"][complete], scores["random"][complete]], axis=1)
    random_change = np.abs(by_chance - own[:, None]).mean(axis=1)
    resilience, rank_correlation = {}, {}
    for noise in [name for name in ("explanation", "input") if name in scores]:
        noisy = scores[noise][complete]
        icc, limits = intraclass_correlation(np.column_stack([own, noisy]), level)
        ratio, ratio_limits = _noise_ratio(np.abs(noisy - own[:, None]).mean(axis=1), random_change, level)
        resilience[noise] = (
            ReliabilityCheck("ICC", icc, limits, thresholds.min_icc, "at least", len(own)),
            ReliabilityCheck("noise ratio", ratio, ratio_limits, thresholds.max_noise_ratio, "at most", len(own)),
        )
        correlations = spearman(np.broadcast_to(own, noisy.T.shape), noisy.T) if len(own) > 2 else np.array(np.nan)
        rank_correlation[noise] = float(correlations.mean())
    reactivity = {}
    for kind in ("shuffled", "random"):
        wins = win_rate(own, scores[kind][complete], method.better)
        limits = bounded_mean_interval(wins, 0.0, 1.0, level)
        mean = float(wins.mean()) if len(wins) else float("nan")
        reactivity[kind] = ReliabilityCheck("AUROC", mean, limits, thresholds.min_auroc, "at least", len(own))
    return Reliability(
        score=method.name,
        of=explanation.provenance.method,
        noise_resilience=resilience,
        reactivity=reactivity,
        spearman=rank_correlation,
        scores=dict(scores),
        left_out=int((~complete).sum()),
        level=level,
        cost=cost,
        better=method.better,
    )


def _noise_ratio(noise_change: PerRow, random_change: PerRow, level: float) -> tuple[float, Interval]:
    """Mean change by noise divided by mean change by chance, with the interval of a ratio of paired means.

    A limit r is where mean(noise_change − r · random_change) is just significantly different from 0, to first order
    (delta method). NaN where chance changes nothing, or with fewer than two rows.
    """
    if len(noise_change) < 2 or not random_change.mean() > 0:
        return float("nan"), Interval(np.nan, np.nan, level, "undefined")
    ratio = float(noise_change.mean() / random_change.mean())
    limits = clustered_student_interval((noise_change - ratio * random_change) / random_change.mean(), None, level)
    return ratio, Interval(max(0.0, ratio + limits.low), ratio + limits.high, level, "ratio of means")
