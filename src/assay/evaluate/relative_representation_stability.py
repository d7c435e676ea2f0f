# SPDX-License-Identifier: Apache-2.0
"""Relative representation stability (RRS)."""

from dataclasses import replace

from assay.basics.types import Array, Floats, PerRow
from assay.cases.case import Case
from assay.engine.cost import CostFunction, Given
from assay.engine.declare import scorer
from assay.engine.gradients.activation_maps import find_units_layer
from assay.engine.neighbourhoods.neighbourhood import is_classifier, neighbourhood_cost, prediction_passes
from assay.engine.neighbourhoods.relative_stability import relative_change, relative_stability
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Explanation


def _activation_cost() -> CostFunction:
    """Cost of the activations at each draw and at the rows, and of one pass of one row where the layer is searched."""

    def count(case: Case, o: Given, again: Cost) -> Cost:
        near = neighbourhood_cost(lambda case, o: 1 + prediction_passes(case, o))(case, o, again)
        return near + Cost(case.model.passes_per_row * (len(case) + (o.layer is None)))

    return count


@scorer(source="agarwal2022", better="lower", needs={"net", "numbers"}, cost=_activation_cost())
def relative_representation_stability(
    explanation: Explanation,
    case: Case,
    *,
    ball: Ball,
    draws: int = 10,
    layer: str | None = None,
    share: float = 0.01,
    floor: float = 1e-6,
) -> Estimate:
    """Largest relative change of the explanation per relative change of a hidden layer, under small perturbations.

    RRS = max_δ ‖(φ(x + δ) − φ(x)) / φ(x)‖ / max(‖(a(x + δ) − a(x)) / a(x)‖, ``floor``), a being the activations of
    ``layer`` (a dotted name; None: the last layer with activation maps, else the last hidden one, named in a note);
    0 … ∞, 0 is best. Features and units below ``share`` of their row's largest magnitude are excluded, and draws that
    predict another class (extra["flipped"]); extra["floored"] counts the draws where ``floor`` applied. Undefined where
    no draw is left, or where φ or a is 0. Perturbations are those of ``max_sensitivity``; only their predictions and
    activations need further model evaluations.

    Quantus takes all layers together by default, replaces activations of 0 and φ = 0 by 1e-6, and gives NaN for a row
    with one flipped draw.
    """
    name, notes = case.explanation_cache.get_object(("layer", layer), lambda: find_units_layer(case, layer))

    def activation(key: object, at: Case) -> Floats:
        def evaluate() -> Floats:
            return to_floats(at.from_layer(name).rows.x).reshape(len(case), -1).copy()

        return case.explanation_cache.get(("activations", name, key), evaluate)

    relative = relative_change(activation("here", case), share)

    def change(draw: int, x: Array, outputs: Floats) -> PerRow:
        return relative(activation((ball, draw), case.at(x)))

    estimate = relative_stability(
        explanation, case, ball, draws, change, share=share, floor=floor, needs_outputs=is_classifier(case)
    )
    return replace(estimate, notes=notes)
