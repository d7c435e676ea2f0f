# SPDX-License-Identifier: Apache-2.0
"""Concepts found in the activations of a layer, and how much each changes the target."""

from __future__ import annotations

from typing import Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.cases.removals import Constant
from assay.engine.coalitions.estimator import all_masks, estimate_rows, is_enumerable
from assay.engine.coalitions.leverage import shapley_estimator
from assay.engine.concepts.factors import STABLE, Factors
from assay.engine.cost import Given
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import count_rows
from assay.nouns.results.result import Estimate, Note

Importance = Literal["shapley", "sobol", "deletion"]
"""What the values of concepts are."""

ABSENT = Constant(0.0)
"""A concept is removed by setting its amounts to 0."""


def importance_of(case: Case, how: Importance, budget: int) -> Estimate:
    """Values (row, concept) of a case of concepts: Shapley values, total Sobol indices, or the effect of deletion."""
    game, count = case.game(ABSENT), len(case.features)
    masks = coalitions_of(case, count, how, budget)
    values = game.table(masks)
    if how == "deletion":
        return Estimate(case.output[:, None] - values)
    if how == "sobol":
        return _sobol(masks, values, count, is_enumerable(count, budget))
    estimator = shapley_estimator(count, budget)
    return estimate_rows(
        case, estimator, estimator.design(count, budget, case.seed.child("design", estimator.name)), values
    )


def coalitions_of(case: Case, count: int, how: Importance, budget: int) -> Masks:
    """The coalitions (mask, concept) of so many concepts that are evaluated."""
    if how == "deletion":
        return ~np.eye(count, dtype=bool)
    if how == "shapley":
        estimator = shapley_estimator(count, budget)
        return estimator.design(count, budget, case.seed.child("design", estimator.name)).masks
    if is_enumerable(count, budget):
        return all_masks(count)
    draws = budget // (count + 1)
    if draws < 2:
        raise InputError(f"budget={budget}; Sobol indices of {count} concepts need at least {2 * (count + 1)}.")
    first = case.seed.child("design", "sobol").generator().random((draws, count)) < 0.5
    flipped = first[:, None, :] ^ np.eye(count, dtype=bool)
    return np.concatenate([first[:, None, :], flipped], axis=1).reshape(-1, count)


def _sobol(masks: Masks, values: Floats, count: int, enumerated: bool) -> Estimate:
    """E[Var(v | the other concepts)] / Var(v) of presences that are drawn evenly; NaN where v does not vary."""
    if enumerated:
        number = np.arange(len(masks))
        changes = np.stack([(values - values[:, number ^ (1 << part)]) ** 2 for part in range(count)], axis=2)
        drawn = values
    else:
        grouped = values.reshape(len(values), -1, count + 1)
        changes, drawn = (grouped[:, :, 1:] - grouped[:, :, :1]) ** 2, grouped[:, :, 0]
    squares = (drawn - drawn.mean(axis=1, keepdims=True))[:, :, None] ** 2
    mean, spread = changes.mean(axis=1) / 4, squares.mean(axis=1) * (1 if enumerated else 1 + 1 / (drawn.shape[1] - 1))
    known = np.broadcast_to(spread > 0, mean.shape)
    index = np.divide(mean, spread, out=np.full(mean.shape, np.nan), where=known)
    if enumerated:
        return Estimate(index, np.zeros_like(index))
    error = (changes / 4 - index[:, None, :] * squares).std(axis=1, ddof=1) / np.sqrt(drawn.shape[1])  # of a ratio
    return Estimate(index, np.divide(error, spread, out=np.full(mean.shape, np.nan), where=known))


def discovery_cost(case: Case, o: Given, again: Cost) -> Cost:
    """A pass of each row of the reference, two of each row explained, and the coalitions."""
    masks = np.unique(coalitions_of(case, o.concepts, o.importance, o.budget), axis=0)
    each = len(case) * (2 + int((~masks.all(axis=1)).sum()))
    return Cost(each + count_rows(o.reference) + (1 if o.layer is None else 0)) * case.model.passes_per_row


def names_of(factors: Factors) -> tuple[str, ...]:
    """Names of the parts; those that other starts do not find are marked."""
    return tuple(
        f"concept {number + 1}{' (unstable)' if stability < STABLE else ''}"
        for number, stability in enumerate(factors.stability)
    )


def stability_lines(factors: Factors) -> tuple[str, ...]:
    """A line for each part whose stability is known."""
    known = zip(names_of(factors), factors.stability, strict=True)
    return tuple(f"{name}: stability {one:.2f}" for name, one in known if not np.isnan(one))


def stability_note(factors: Factors, starts: int) -> tuple[Note, ...]:
    """A note on the parts that other starts do not find."""
    lost = [name for name in names_of(factors) if name.endswith("(unstable)")]
    text = (
        f"{len(lost)} of {len(factors.parts)} concepts have a median cosine below {STABLE} with their matches of "
        f"{starts} other starts; read nothing into them: {', '.join(lost[:5])}"
    )
    return (Note("unstable-concepts", text),) if lost else ()
