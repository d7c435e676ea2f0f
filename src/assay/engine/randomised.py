# SPDX-License-Identifier: Apache-2.0
"""Explanations of the net with its weights drawn afresh, and how alike they are to those of the intact net."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from assay.cases.case import Case
from assay.engine.ball import Ball
from assay.engine.masks import present
from assay.engine.neighbourhood import moved, named, remade
from assay.engine.price import Given
from assay.model.scramble import layers, scrambled
from assay.nouns.result import Estimate, Explanation
from assay.words.stats import spearman
from assay.words.types import Floats, Masks, PerPart, PerRow

Stage = tuple[str, ...]
"""Places of a net whose parameters are drawn afresh together."""


def stages(case: Case, cascade: bool) -> list[Stage]:
    """Every place at once; with ``cascade`` one place after another from the output side, those before it too."""
    places = layers(case.model)
    return [places[: k + 1] for k in range(len(places))] if cascade else [places]


def staged(case: Case, o: Given) -> int:
    """How many nets a score draws."""
    return len(layers(case.model)) if o.cascade else 1


def weights_lost(explanation: Explanation, case: Case, stage: Stage) -> PerPart:
    """The explanation (row, part) of the net scrambled at ``stage``; remembered, so that scores share it."""

    def again() -> PerPart:
        return remade(explanation, _scrambled(case, stage)())

    return case.recall.once(("scrambled", named(explanation), stage), again)


def weights_lost_near(explanation: Explanation, case: Case, stage: Stage, ball: Ball, draws: int) -> Iterator[PerPart]:
    """The explanations of the scrambled net at each draw of the neighbourhood, remembered too."""
    other, name = _scrambled(case, stage), named(explanation)
    for draw in range(draws):

        def again(draw: int = draw) -> PerPart:
            return remade(explanation, other().at(moved(case, ball, draw)))

        yield case.recall.once(("scrambled near", name, stage, ball, draw), again)


def _scrambled(case: Case, stage: Stage) -> Callable[[], Case]:
    """The case with a scrambled net, made when first asked for."""
    return cache(lambda: replace(case, model=scrambled(case.model, case.seed.child("scramble"), places=stage)))


def likeness(one: Floats, two: Floats, case: Case) -> Mapping[str, PerRow]:
    """Rank correlation (row,) over the parts each row has: of ``signed`` and of ``absolute`` values."""
    held = present(case)
    return {"signed": _alike(one, two, held), "absolute": _alike(np.abs(one), np.abs(two), held)}


def compared(
    before: Floats, after: Sequence[Floats], case: Case, which: Sequence[Stage], *, absolute: bool, cascade: bool
) -> Estimate:
    """Mean likeness over the stages that have one; the intact net is none of them."""
    alike = [likeness(before, values, case) for values in after]
    chosen = np.stack([one["absolute" if absolute else "signed"] for one in alike])
    extra = {kind: _mean(np.stack([one[kind] for one in alike])) for kind in ("signed", "absolute")}
    if cascade:
        extra["places"] = np.isfinite(chosen).sum(axis=0).astype(np.float64)
        extra |= {stage[-1] or "the net itself": value for stage, value in zip(which, chosen)}
    return Estimate(_mean(chosen), extra=extra)


def _alike(one: Floats, two: Floats, held: Masks) -> PerRow:
    """Rank correlation (row,) over the parts each row has; values that differ by rounding only are tied."""
    rows = [spearman(_steps(a[own])[None], _steps(b[own])[None])[0] for a, b, own in zip(one, two, held)]
    return np.array(rows, dtype=np.float64)


def _steps(values: Floats) -> Floats:
    """The order of values (part,) as 0, 1, …: a new step where a gap exceeds 1e-12 of the largest magnitude."""
    order = np.argsort(values, kind="stable")
    rises = np.diff(values[order]) > 1e-12 * np.abs(values).max()
    steps = np.empty(len(values))
    steps[order] = np.concatenate([[0], np.cumsum(rises)])
    return steps


def _mean(correlation: Floats) -> PerRow:
    """Mean (row,) over the defined stages (stage, row); NaN where none is."""
    known = np.isfinite(correlation)
    total = np.where(known, correlation, 0.0).sum(axis=0)
    return np.divide(total, known.sum(axis=0), out=np.full(total.shape, np.nan), where=known.any(axis=0))
