# SPDX-License-Identifier: Apache-2.0
"""How far the scores of concepts alone reproduce a classifier's decisions: completeness, as a game of concepts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Array, Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.coalitions.leverage import shapley_estimator
from assay.engine.concepts.activations import content_order, from_positions, other_case, position_matrix
from assay.engine.concepts.discovery import coalitions_of
from assay.engine.cost import Given
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.concept import Concept
from assay.nouns.inputs.rows import count_rows
from assay.nouns.inputs.target import predicted_class

DecoderKind = Literal["refit", "fixed"]
"""Whether the decoder is fitted for each set of concepts, or once for all of them."""


@dataclass(frozen=True, eq=False)
class LinearDecoder:
    """Ridge regressions from scores of concepts to activations, in closed form for every set of concepts.

    ``mean`` (unit,) and ``directions`` (concept, unit) give the scores (a − mean) · direction; ``squares`` (concept,
    concept) and ``products`` (concept, unit) are their mean products with each other and with the activations.
    """

    mean: Floats
    directions: Floats
    squares: Floats
    products: Floats
    penalty: float

    @classmethod
    def of(cls, activations: Floats, directions: Floats, ridge: float) -> LinearDecoder:
        """From activations (row, unit)."""
        mean = activations.mean(axis=0)
        centred = activations - mean
        scores = centred @ directions.T
        squares, products = scores.T @ scores / len(scores), scores.T @ centred / len(scores)
        scale = float(np.trace(squares)) / max(1, len(squares))
        return cls(mean, directions, squares, products, ridge * scale if scale > 0 else 1.0)

    def decoded(self, activations: Floats, present: Any, kind: DecoderKind) -> Floats:
        """Activations (row, position, unit) as the decoder gives them from the scores of the concepts present."""
        which = np.flatnonzero(present)
        scores = (activations - self.mean) @ self.directions[which].T
        fitted = which if kind == "refit" else np.arange(len(self.directions))
        system = self.squares[np.ix_(fitted, fitted)] + self.penalty * np.eye(len(fitted))
        weights = np.linalg.solve(system, self.products[fitted])
        return self.mean + scores @ (weights if kind == "refit" else weights[which])


def directions_of(case: Case, concepts: tuple[Concept, ...], random: Floats, layer: str) -> Floats:
    """Mean activation (concept, unit) of each concept minus that of the random rows, of length 1."""
    found = []
    for one in concepts:
        own = position_matrix(other_case(case, one.rows, f"concept {one.name!r}").from_layer(layer))
        step = own.mean(axis=(0, 1)) - random.mean(axis=(0, 1))
        length = float(np.linalg.norm(step))
        if length == 0:
            raise InputError(f"concept {one.name!r} has the mean activation of random_rows at layer {layer!r}.")
        found.append(step / length)
    return np.stack(found)


@dataclass(frozen=True, eq=False)
class Completeness:
    """Whether a row's class is right (row, mask) from the concepts of each mask, and with the whole net (row,).

    ``scores`` (row, concept) are the means over positions of the scores of concepts.
    """

    masks: Masks
    right: Floats
    whole: Floats
    guess: float
    scores: Floats


def completeness_game(
    case: Case, layer: str, decoder: LinearDecoder, kind: DecoderKind, masks: Masks, truth: Ints | None
) -> Completeness:
    """Evaluate the net from the layer on at decoded activations; without concepts a class is guessed."""
    order = content_order(case)
    back = np.argsort(order)
    inner = case.take(order).from_layer(layer)
    own = position_matrix(inner)
    predicted = predicted_class(case.prediction, case.model.gives)
    wanted = (predicted if truth is None else truth)[order]
    guess = 1.0 / max(2, case.prediction.shape[1])
    right = np.full((len(case), len(masks)), guess)
    everyone = np.arange(len(case))
    for number in np.flatnonzero(masks.any(axis=1)):
        x = _like(inner, from_positions(inner, decoder.decoded(own, masks[number], kind)))
        right[:, number] = inner.predicted(x, everyone) == wanted
    whole = (predicted == (predicted if truth is None else truth)).astype(float)
    scores = (own.mean(axis=1) - decoder.mean) @ decoder.directions.T
    return Completeness(masks, right[back], whole, guess, scores[back])


def _like(inner: Case, values: Floats) -> Array:
    return inner.rows.x.new_tensor(values)


def shapley_masks(case: Case, count: int, budget: int) -> Masks:
    """The coalitions of so many concepts that Shapley values are computed from."""
    return coalitions_of(case, count, "shapley", budget)


def shapley_of(case: Case, game: Completeness, count: int, budget: int) -> Any:
    """Shapley values (row, concept) of the share of right classes."""
    estimator = shapley_estimator(count, budget)
    design = estimator.design(count, budget, case.seed.child("design", estimator.name))
    return estimator.estimate(design, game.right)


def completeness_cost(case: Case, o: Given, again: Cost) -> Cost:
    """A pass of each row of the concepts and the random rows, one of the rows explained, and one for each coalition."""
    given = () if o.directions is not None else Concept.each_of(o.concepts)
    count = len(np.asarray(o.directions)) if o.directions is not None else len(given)
    others = sum(count_rows(one.rows) for one in given) + count_rows(o.random_rows)
    masks = shapley_masks(case, count, o.budget)
    each = len(case) * (1 + int(masks.any(axis=1).sum()))
    return Cost(each + others + (1 if o.layer is None else 0)) * case.model.passes_per_row
