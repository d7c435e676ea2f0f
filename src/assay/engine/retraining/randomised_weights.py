# SPDX-License-Identifier: Apache-2.0
"""Explanations after weight randomisation, and their rank correlation with the explanation of the original net."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks, PerPart, PerRow
from assay.cases.case import Case
from assay.engine.coalitions.masks import present_parts
from assay.engine.cost import Given
from assay.engine.neighbourhoods.neighbourhood import explanation_key, perturbed_rows, recompute_values, with_outputs
from assay.engine.search.ball import Ball
from assay.model.transformations.randomise_weights import layer_names, randomise_weights
from assay.nouns.results.result import Estimate, Explanation

Stage = tuple[str, ...]
"""Names of the layers of a net whose parameters are randomised together."""

MAX_CACHED_WEIGHTS = 2_000_000
"""Number of weights up to which randomised nets are cached with the case, one per stage."""


def randomisation_stages(case: Case, cascade: bool, count: int = 0) -> list[Stage]:
    """One stage with all layers; with ``cascade`` cumulative stages from the output side, one more layer in each.

    ``count`` above 0 is the number of stages of the cascade; each adds about equally many layers.
    """
    if count < 0 or (count and not cascade):
        raise InputError(f"stages={count}; needed is 0 (one layer per stage), or more with cascade=True.")
    names = layer_names(case.model)
    if not cascade:
        return [names]
    ends = np.linspace(0, len(names), min(count or len(names), len(names)) + 1).round().astype(int)[1:]
    return [names[:end] for end in ends.tolist()]


def count_stages(case: Case, o: Given) -> int:
    """Number of randomised nets that a score needs."""
    return len(randomisation_stages(case, o.cascade, o.stages))


def explain_randomised(explanation: Explanation, case: Case, stage: Stage) -> PerPart:
    """The explanation (row, part) of the net randomised at ``stage``; cached, so that scores share it."""

    def explain() -> PerPart:
        other = _randomised_case(case, stage)()
        outputs = case.explanation_cache.get(("scrambled outputs", stage), lambda: np.array(other.prediction))
        return recompute_values(explanation, with_outputs(other, outputs))

    return case.explanation_cache.get(("scrambled", explanation_key(explanation), stage), explain)


def explain_randomised_near(
    explanation: Explanation, case: Case, stage: Stage, ball: Ball, draws: int
) -> Iterator[PerPart]:
    """The explanations (row, part) of the randomised net at each draw of perturbed rows; cached."""
    other, key = _randomised_case(case, stage), explanation_key(explanation)
    for draw in range(draws):

        def explain(draw: int = draw) -> PerPart:
            return recompute_values(explanation, other().at(perturbed_rows(case, ball, (draw,))))

        yield case.explanation_cache.get(("scrambled near", key, stage, ball, draw), explain)


def _randomised_case(case: Case, stage: Stage) -> Callable[[], Case]:
    """A function that gives the case with a randomised net; a small net is cached for other explanations."""
    small = sum(weight.numel() for weight in case.model.net.parameters()) <= MAX_CACHED_WEIGHTS

    def build() -> Case:
        draws = case.explanation_cache.get_object(("scrambled weights",), dict) if small else None
        seed = case.seed.child("scramble")
        return replace(case, model=randomise_weights(case.model, seed, layers=stage, known_draws=draws))

    if not small:
        return cache(build)
    return lambda: replace(case.explanation_cache.get_object(("scrambled net", stage), build))


def rank_correlations(one: Floats, two: Floats, case: Case) -> Mapping[str, PerRow]:
    """Spearman correlation (row,) over the features each row has, of ``signed`` and of ``absolute`` values."""
    return _correlate(_rank_values(one, case), _rank_values(two, case))


def compare_stages(
    before: Floats, after: Sequence[Floats], case: Case, which: Sequence[Stage], *, absolute: bool, cascade: bool
) -> Estimate:
    """Mean rank correlation over the stages where it is defined; the original net is not a stage."""
    original = _rank_values(before, case)
    correlations = [_correlate(original, _rank_values(values, case)) for values in after]
    chosen = np.stack([one["absolute" if absolute else "signed"] for one in correlations])
    extra = {kind: _mean(np.stack([one[kind] for one in correlations])) for kind in ("signed", "absolute")}
    if cascade:
        extra["stages"] = np.isfinite(chosen).sum(axis=0).astype(np.float64)
        extra |= {stage[-1] or "the net itself": value for stage, value in zip(which, chosen)}
    return Estimate(_mean(chosen), extra=extra)


def _rank_values(values: Floats, case: Case) -> Mapping[str, Floats]:
    """Centred ranks (row, part) of signed and of absolute values."""
    available = present_parts(case)
    return {"signed": _ranks(values, available), "absolute": _ranks(np.abs(values), available)}


def _correlate(one: Mapping[str, Floats], two: Mapping[str, Floats]) -> Mapping[str, PerRow]:
    """Correlation (row,) of centred ranks; NaN where all ranks of either are equal."""
    correlations = {}
    for kind, a in one.items():
        b = two[kind]
        size = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
        ratio = np.divide((a * b).sum(axis=1), size, out=np.full(len(a), np.nan), where=size > 0)
        correlations[kind] = np.clip(ratio, -1.0, 1.0)
    return correlations


def _ranks(values: Floats, available: Masks) -> Floats:
    """Mid-ranks (row, part) minus their mean over the features a row has; 0 for the others.

    Values that differ by at most 1e-12 of the row's largest magnitude, which is rounding, are tied.
    """
    whole = bool(available.all())
    last = values if whole else np.where(available, values, np.inf)  # features a row lacks come last
    order = np.argsort(last, axis=1)
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        gaps = np.diff(np.take_along_axis(last, order, axis=1), axis=1)
    size = np.abs(values) if whole else np.where(available, np.abs(values), 0.0)
    rank = np.empty(values.shape)
    np.put_along_axis(rank, order, _mid_ranks(gaps > 1e-12 * size.max(axis=1, keepdims=True)), axis=1)
    if whole:
        return np.asarray(rank - rank.mean(axis=1, keepdims=True))
    count = np.maximum(available.sum(axis=1, keepdims=True), 1)
    return np.where(available, rank - np.where(available, rank, 0.0).sum(axis=1, keepdims=True) / count, 0.0)


def _mid_ranks(rises: Masks) -> Floats:
    """Mid-ranks (row, part) in sorted order, from whether each value is above the one before it, (row, part − 1)."""
    rank, edge = np.arange(rises.shape[1] + 1), np.ones((len(rises), 1), dtype=bool)
    if rises.all():
        return np.broadcast_to(rank.astype(np.float64), (len(rises), len(rank)))
    first = np.maximum.accumulate(np.where(np.hstack([edge, rises]), rank, 0), axis=1)
    final = np.minimum.accumulate(np.where(np.hstack([rises, edge]), rank, rank[-1])[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((first + final) / 2)


def _mean(correlation: Floats) -> PerRow:
    """Mean (row,) over the stages where the correlation (stage, row) is defined; NaN where it is defined at none."""
    known = np.isfinite(correlation)
    total = np.where(known, correlation, 0.0).sum(axis=0)
    return np.divide(total, known.sum(axis=0), out=np.full(total.shape, np.nan), where=known.any(axis=0))
