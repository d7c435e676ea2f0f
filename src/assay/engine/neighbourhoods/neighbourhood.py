# SPDX-License-Identifier: Apache-2.0
"""Explanations of randomly perturbed rows; all stability scores of a case share one set of perturbations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.types import Array, Floats, Ints, Masks, PerPart, PerRow
from assay.cases.case import Case
from assay.cases.explanation_cache import ExplanationCache
from assay.engine.cost import CostFunction, Given, cost_of_explaining_again
from assay.engine.recompute import recompute
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import concatenate, to_floats
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import Explanation

Block = tuple[int, ...]
"""Numbers of draws."""

SEED_INDEPENDENT = ("prediction", "output", "shared")
"""Cached properties of a case that do not depend on its seed."""


def check_ball(ball: Any, draws: int) -> None:
    """Raise ``InputError`` unless ``ball`` is a ``Ball`` and ``draws`` is at least 1."""
    if not isinstance(ball, Ball):
        raise InputError(
            f"ball={ball!r}; needed is a perturbation radius in the units of the rows: assay.Ball('linf', 0.02)."
        )
    if draws < 1:
        raise InputError(f"draws={draws}; at least 1 is needed.")


def explain_neighbours(explanation: Explanation, case: Case, ball: Ball, draws: int) -> Iterator[tuple[Array, PerPart]]:
    """Rows perturbed within ``ball``, and their explanations (row, part); for each of ``draws`` draws.

    The label stays the same, and a method that samples reuses its seed. The perturbations are the same for all methods
    and scores. Explanations are cached by method, options, seed and values of the explanation, ball and draw. Each draw
    is explained by itself: the last digits of a net depend on the batch, and must not depend on the number of draws or
    on what was evaluated before.
    """
    check_ball(ball, draws)
    key = explanation_key(explanation)
    for draw in range(draws):

        def explain(draw: int = draw) -> PerPart:
            return recompute_values(explanation, perturbed_case(case, ball, (draw,)))

        values = case.explanation_cache.get(("near", key, ball, draw), explain)
        yield perturbed_rows(case, ball, (draw,)), values


def perturbed_case(case: Case, ball: Ball, draws: Block) -> Case:
    """The case with the perturbed rows of ``draws``, draw by draw; its outputs and gradients are cached."""

    def build() -> Case:
        x, rows = perturbed_rows(case, ball, draws), len(case)
        other = (case if len(draws) == 1 else case.take(np.tile(np.arange(rows), len(draws)))).at(x)
        each = [perturbed_outputs(case, ball, draw, x[i * rows : (i + 1) * rows]) for i, draw in enumerate(draws)]
        known = with_outputs(other, np.concatenate(each))
        shares = case.explanation_cache.shares_gradients
        known.__dict__["shared"] = ExplanationCache(case.model.meter) if shares else None
        return known

    size = 2 * len(draws) * math.prod(case.rows.x.shape)  # rows and gradients
    found: Case = case.explanation_cache.get_recomputable(("case near", ball, draws), size, build)
    return found


def relative_changes(explanation: Explanation, case: Case, ball: Ball, draws: int) -> Floats:
    """‖φ(x + δ) − φ(x)‖ / ‖φ(x)‖ (row, draw), Euclidean over features; NaN where φ(x) = 0."""
    size = np.linalg.norm(explanation.values, axis=1)
    changes = []
    for _, values in explain_neighbours(explanation, case, ball, draws):
        change = np.linalg.norm(values - explanation.values, axis=1)
        changes.append(np.divide(change, size, out=np.full(size.shape, np.nan), where=size > 0))
    return np.stack(changes, axis=1)


def perturbed_rows(case: Case, ball: Ball, draws: Block) -> Array:
    """Random points of the ball around each row, draw by draw."""

    def sample() -> Array:
        each = [ball.draw(case.rows, case.seed.child("neighbourhood", draw)) for draw in draws]
        return concatenate(each)

    size = len(draws) * math.prod(case.rows.x.shape)
    return case.explanation_cache.get_recomputable(("moved", ball, draws), size, sample)


def recompute_values(explanation: Explanation, other: Case) -> PerPart:
    """Values (row, part) of the same method, options and seed on another case."""
    seeded = replace(other, seed=explanation.provenance.seed)
    seeded.__dict__.update({name: other.__dict__[name] for name in SEED_INDEPENDENT if name in other.__dict__})
    values: PerPart = recompute(explanation, seeded).values
    return values


def explanation_key(explanation: Explanation) -> str:
    """Cache key of an explanation: a digest of its method, options, seed, target and values."""
    source = explanation.provenance
    return digest(source.method, dict(source.options), source.seed, source.target, explanation.values)


def perturbed_outputs(case: Case, ball: Ball, draw: int, x: Array) -> Floats:
    """The model's outputs (row, out) at the perturbed rows ``x`` of one draw, cached for all explanations."""
    return case.explanation_cache.get(("outputs", ball, draw), lambda: np.array(case.at(x).prediction))


def with_outputs(case: Case, outputs: Floats) -> Case:
    """The case with the model's outputs (row, out) at its rows, and its target, set in advance: neither is computed."""
    other = replace(case)
    other.__dict__["prediction"] = outputs
    other.__dict__["output"] = to_floats(other._read(other.label)(outputs))
    return other


def is_class_unchanged(case: Case, outputs: Floats) -> Masks:
    """Whether ``outputs`` (row, out) predict the same class as at the rows, (row,); always true of a regression."""
    if not is_classifier(case):
        return np.ones(len(case), dtype=bool)
    return np.asarray(_top(case, outputs) == _top(case, case.prediction))


def displacement(case: Case, x: Array) -> Floats:
    """``x`` minus the rows, (row, element) in float64; 0 where a number is missing, and at padding."""
    move = to_floats(x) - to_floats(case.rows.x)
    if case.rows.text is not None:
        move = move * case.rows.text.real[:, :, None]
    return np.asarray(np.nan_to_num(move.reshape(len(case), -1), nan=0.0))


def max_over_draws(changes: Floats) -> PerRow:
    """Maximum (row,) of ``changes`` (row, draw) over the draws that are not NaN; NaN where all are."""
    known = np.isfinite(changes)
    most = np.where(known, changes, -np.inf).max(axis=1)
    return np.where(known.any(axis=1), most, np.nan)


def neighbourhood_cost(extra: Callable[[Case, Given], int] = lambda case, o: 0) -> CostFunction:
    """Cost of one explanation per draw, and of ``extra`` further forward passes per row and draw."""

    def count(case: Case, o: Given, again: Cost) -> Cost:
        return (
            cost_of_explaining_again(case, again) + Cost(extra(case, o) * len(case) * case.model.passes_per_row)
        ) * o.draws

    return count


def prediction_passes(case: Case, o: Given) -> int:
    """Forward passes per row and draw that are needed to compare the predicted class."""
    return int(is_classifier(case))


def is_classifier(case: Case) -> bool:
    """Whether the model predicts classes."""
    return case.model.gives not in ("values", "units")


def _top(case: Case, outputs: Floats) -> Ints:
    return predicted_class(outputs, case.model.gives)
