# SPDX-License-Identifier: Apache-2.0
"""The one neighbourhood of a case's rows, and explanations remade there: all scores of robustness read the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.types import Array, Floats, Ints, Masks, PerPart, PerRow
from assay.cases.case import KEPT, Case
from assay.cases.explanation_cache import ExplanationCache
from assay.engine.cost import CostFunction, Given, anew
from assay.engine.declare import recompute
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import joined, to_floats
from assay.nouns.inputs.target import class_scores
from assay.nouns.results.result import Explanation

Block = tuple[int, ...]
"""Draws that are explained together."""

SINGLE = (bool, int, float, str, type(None))
"""Options that hold nothing row by row."""

KNOWN = ("prediction", "output", "shared")
"""What a case knows already that holds whatever its seed."""


def checked(ball: Any, draws: int) -> None:
    """Raise ``InputError`` unless there is a ball, and something is drawn from it."""
    if not isinstance(ball, Ball):
        raise InputError(
            f"ball={ball!r}; give how far rows may be moved, in their own units: assay.Ball('linf', 0.02)."
        )
    if draws < 1:
        raise InputError(f"draws={draws}; at least 1 is needed.")


def neighbours(explanation: Explanation, case: Case, ball: Ball, draws: int) -> Iterator[tuple[Array, PerPart]]:
    """Rows moved within ``ball``, and the explanation remade there (row, part); for each of so many draws.

    The label stays, and an explainer that samples draws as it did. Draws are the same for all methods and scores. What
    was remade once is remembered by method, options, seed and values of the explanation, ball and draw. As many draws
    as fit one model batch are explained together.
    """
    checked(ball, draws)
    name = named(explanation)
    for block in _blocks(explanation, case, draws):

        def again(missing: list[int], block: Block = block) -> list[Floats]:
            some = tuple(block[place] for place in missing)
            return np.split(recomputed(explanation, near(case, ball, some)), len(some))

        found = case.explanation_cache.several([("near", name, ball, draw) for draw in block], again)
        x, rows = moved(case, ball, block), len(case)
        yield from ((x[place * rows : (place + 1) * rows], values) for place, values in enumerate(found))


def _blocks(explanation: Explanation, case: Case, draws: int) -> Iterator[Block]:
    """Draws in order, as many together as fit a batch; one by one where an option may hold something for each row."""
    alike = all(isinstance(option, SINGLE) for option in explanation.provenance.options.values())
    size = max(1, case.room(KEPT) // len(case)) if alike and case.rows.text is None else 1
    for start in range(0, draws, size):
        yield tuple(range(start, min(start + size, draws)))


def near(case: Case, ball: Ball, draws: Block) -> Case:
    """The case at some draws, one draw's rows after another's, its outputs known; a gradient there is asked once."""

    def made() -> Case:
        x, which = moved(case, ball, draws), np.tile(np.arange(len(case)), len(draws))
        other = (case if len(draws) == 1 else case.take(which)).at(x)

        def outputs(missing: list[int]) -> list[Floats]:
            asked = np.concatenate([np.flatnonzero(np.arange(len(x)) // len(case) == place) for place in missing])
            return np.split(np.array(other.take(asked).prediction), len(missing))

        keys = [("outputs", ball, draw) for draw in draws]
        known = knowing(other, np.concatenate(case.explanation_cache.several(keys, outputs)))
        known.__dict__["shared"] = ExplanationCache(case.model.meter) if case.explanation_cache.lends else None
        return known

    size = 2 * len(draws) * math.prod(case.rows.x.shape)  # rows and gradients
    found: Case = case.explanation_cache.spare(("case near", ball, draws), size, made)
    return found


def relative_changes(explanation: Explanation, case: Case, ball: Ball, draws: int) -> Floats:
    """‖φ(x + δ) − φ(x)‖ / ‖φ(x)‖ (row, draw), Euclidean over parts; NaN where φ(x) = 0."""
    size = np.linalg.norm(explanation.values, axis=1)
    changes = []
    for _, values in neighbours(explanation, case, ball, draws):
        change = np.linalg.norm(values - explanation.values, axis=1)
        changes.append(np.divide(change, size, out=np.full(size.shape, np.nan), where=size > 0))
    return np.stack(changes, axis=1)


def moved(case: Case, ball: Ball, draws: Block) -> Array:
    """Points of the ball around each row, one draw's rows after another's."""

    def made() -> Array:
        each = [ball.draw(case.rows, case.seed.child("neighbourhood", draw)) for draw in draws]
        return joined(each)

    return case.explanation_cache.spare(("moved", ball, draws), len(draws) * math.prod(case.rows.x.shape), made)


def recomputed(explanation: Explanation, other: Case) -> PerPart:
    """Values of the same method on another case, drawing as it drew."""
    asked = replace(other, seed=explanation.provenance.seed)
    asked.__dict__.update({name: other.__dict__[name] for name in KNOWN if name in other.__dict__})
    values: PerPart = recompute(explanation, asked).values
    return values


def named(explanation: Explanation) -> str:
    """Stands for an explanation of a case: how it was made, and its values."""
    made = explanation.provenance
    return digest(made.method, dict(made.options), made.seed, made.target, explanation.values)


def outputs_near(case: Case, ball: Ball, draw: int, x: Array) -> Floats:
    """The model's outputs (row, out) at the rows moved, whatever the explanation."""
    return case.explanation_cache.once(("outputs", ball, draw), lambda: np.array(case.at(x).prediction))


def knowing(case: Case, outputs: Floats) -> Case:
    """The case with the model's outputs (row, out) at its rows known, and so its target: neither is asked for again."""
    other = replace(case)
    other.__dict__["prediction"] = outputs
    other.__dict__["output"] = to_floats(other._read(other.label)(outputs))
    return other


def label_stays(case: Case, outputs: Floats) -> Masks:
    """Whether the class that ``outputs`` (row, out) predict is that at the rows, (row,); of a regression always."""
    if not classifies(case):
        return np.ones(len(case), dtype=bool)
    return np.asarray(_top(case, outputs) == _top(case, case.prediction))


def distance(case: Case, x: Array) -> Floats:
    """x − the rows, (row, element) in float64: 0 where a number is missing, and at padding."""
    move = to_floats(x) - to_floats(case.rows.x)
    if case.rows.text is not None:
        move = move * case.rows.text.real[:, :, None]
    return np.asarray(np.nan_to_num(move.reshape(len(case), -1), nan=0.0))


def largest(changes: Floats) -> PerRow:
    """The greatest number (row,) of each row of ``changes`` (row, draw), NaN being none; NaN where all are."""
    known = np.isfinite(changes)
    most = np.where(known, changes, -np.inf).max(axis=1)
    return np.where(known.any(axis=1), most, np.nan)


def explained_near(extra: Callable[[Case, Given], int] = lambda case, o: 0) -> CostFunction:
    """The explanation remade at each draw, and ``extra`` further passes (of a row) a draw."""

    def priced(case: Case, o: Given, again: Cost) -> Cost:
        return (anew(case, again) + Cost(extra(case, o) * len(case) * case.model.passes)) * o.draws

    return priced


def looked_at_labels(case: Case, o: Given) -> int:
    """Passes a row that it takes to see whether the label stays."""
    return int(classifies(case))


def classifies(case: Case) -> bool:
    """Whether a row has a predicted class."""
    return case.model.gives not in ("values", "units")


def _top(case: Case, outputs: Floats) -> Ints:
    return np.argmax(class_scores(outputs, case.model.gives), axis=1)
