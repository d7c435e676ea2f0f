# SPDX-License-Identifier: Apache-2.0
"""Explanations of the net with its weights drawn afresh, and how alike they are to those of the intact net."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks, PerPart, PerRow
from assay.cases.case import Case
from assay.engine.coalitions.masks import present
from assay.engine.cost import Given
from assay.engine.neighbourhoods.neighbourhood import knowing, moved, named, recomputed
from assay.engine.search.ball import Ball
from assay.model.transformations.randomise_weights import layers, randomise_weights
from assay.nouns.results.result import Estimate, Explanation

Stage = tuple[str, ...]
"""Places of a net whose parameters are drawn afresh together."""

SMALL = 2_000_000
"""Weights up to which scrambled nets are kept beside the case, one a stage."""


def stages(case: Case, cascade: bool, count: int = 0) -> list[Stage]:
    """Every place at once; with ``cascade`` one place after another from the output side, those before it too.

    Above 0, ``count`` is how many stages there are, about equally many places joining at each.
    """
    if count < 0 or (count and not cascade):
        raise InputError(f"stages={count}; 0 (one place a stage) or more, and with cascade=True only.")
    places = layers(case.model)
    if not cascade:
        return [places]
    ends = np.linspace(0, len(places), min(count or len(places), len(places)) + 1).round().astype(int)[1:]
    return [places[:end] for end in ends.tolist()]


def staged(case: Case, o: Given) -> int:
    """How many nets a score draws."""
    return len(stages(case, o.cascade, o.stages))


def weights_lost(explanation: Explanation, case: Case, stage: Stage) -> PerPart:
    """The explanation (row, part) of the net scrambled at ``stage``; remembered, so that scores share it."""

    def again() -> PerPart:
        other = _scrambled(case, stage)()
        outputs = case.explanation_cache.once(("scrambled outputs", stage), lambda: np.array(other.prediction))
        return recomputed(explanation, knowing(other, outputs))

    return case.explanation_cache.once(("scrambled", named(explanation), stage), again)


def weights_lost_near(explanation: Explanation, case: Case, stage: Stage, ball: Ball, draws: int) -> Iterator[PerPart]:
    """The explanations of the scrambled net at each draw of the neighbourhood, remembered too."""
    other, name = _scrambled(case, stage), named(explanation)
    for draw in range(draws):

        def again(draw: int = draw) -> PerPart:
            return recomputed(explanation, other().at(moved(case, ball, (draw,))))

        yield case.explanation_cache.once(("scrambled near", name, stage, ball, draw), again)


def _scrambled(case: Case, stage: Stage) -> Callable[[], Case]:
    """The case with a scrambled net, made when first asked for; a small one is kept for other explanations."""
    small = sum(weight.numel() for weight in case.model.net.parameters()) <= SMALL

    def made() -> Case:
        draws = case.explanation_cache.kept(("scrambled weights",), dict) if small else None
        seed = case.seed.child("scramble")
        return replace(case, model=randomise_weights(case.model, seed, places=stage, known_draws=draws))

    return (lambda: replace(case.explanation_cache.kept(("scrambled net", stage), made))) if small else cache(made)


def likeness(one: Floats, two: Floats, case: Case) -> Mapping[str, PerRow]:
    """Rank correlation (row,) over the parts each row has: of ``signed`` and of ``absolute`` values."""
    return _alike(_ranked(one, case), _ranked(two, case))


def compared(
    before: Floats, after: Sequence[Floats], case: Case, which: Sequence[Stage], *, absolute: bool, cascade: bool
) -> Estimate:
    """Mean likeness over the stages that have one; the intact net is none of them."""
    intact = _ranked(before, case)
    alike = [_alike(intact, _ranked(values, case)) for values in after]
    chosen = np.stack([one["absolute" if absolute else "signed"] for one in alike])
    extra = {kind: _mean(np.stack([one[kind] for one in alike])) for kind in ("signed", "absolute")}
    if cascade:
        extra["places"] = np.isfinite(chosen).sum(axis=0).astype(np.float64)
        extra |= {stage[-1] or "the net itself": value for stage, value in zip(which, chosen)}
    return Estimate(_mean(chosen), extra=extra)


def _ranked(values: Floats, case: Case) -> Mapping[str, Floats]:
    """Ranks (row, part) of signed and of absolute values, about their mean."""
    held = present(case)
    return {"signed": _ranks(values, held), "absolute": _ranks(np.abs(values), held)}


def _alike(one: Mapping[str, Floats], two: Mapping[str, Floats]) -> Mapping[str, PerRow]:
    """Correlation (row,) of centred ranks; NaN where either has but one."""
    found = {}
    for kind, a in one.items():
        b = two[kind]
        size = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
        ratio = np.divide((a * b).sum(axis=1), size, out=np.full(len(a), np.nan), where=size > 0)
        found[kind] = np.clip(ratio, -1.0, 1.0)
    return found


def _ranks(values: Floats, held: Masks) -> Floats:
    """Mean ranks (row, part) less their mean over the parts a row has; 0 for the others.

    A new rank begins where a gap exceeds 1e-12 of the row's largest magnitude: what differs by rounding only is tied.
    """
    whole = bool(held.all())
    last = values if whole else np.where(held, values, np.inf)  # parts a row lacks come after all others
    order = np.argsort(last, axis=1)
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        gaps = np.diff(np.take_along_axis(last, order, axis=1), axis=1)
    size = np.abs(values) if whole else np.where(held, np.abs(values), 0.0)
    rank = np.empty(values.shape)
    np.put_along_axis(rank, order, _places(gaps > 1e-12 * size.max(axis=1, keepdims=True)), axis=1)
    if whole:
        return np.asarray(rank - rank.mean(axis=1, keepdims=True))
    count = np.maximum(held.sum(axis=1, keepdims=True), 1)
    return np.where(held, rank - np.where(held, rank, 0.0).sum(axis=1, keepdims=True) / count, 0.0)


def _places(rises: Masks) -> Floats:
    """Mean place (row, part) in order of each part among those tied with it, from where the order rises."""
    place, edge = np.arange(rises.shape[1] + 1), np.ones((len(rises), 1), dtype=bool)
    if rises.all():
        return np.broadcast_to(place.astype(np.float64), (len(rises), len(place)))
    first = np.maximum.accumulate(np.where(np.hstack([edge, rises]), place, 0), axis=1)
    final = np.minimum.accumulate(np.where(np.hstack([rises, edge]), place, place[-1])[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((first + final) / 2)


def _mean(correlation: Floats) -> PerRow:
    """Mean (row,) over the defined stages (stage, row); NaN where none is."""
    known = np.isfinite(correlation)
    total = np.where(known, correlation, 0.0).sum(axis=0)
    return np.divide(total, known.sum(axis=0), out=np.full(total.shape, np.nan), where=known.any(axis=0))
