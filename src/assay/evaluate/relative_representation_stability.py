# SPDX-License-Identifier: Apache-2.0
"""Relative representation stability."""

from dataclasses import replace

from assay.basics.types import Array, Floats, PerRow
from assay.cases.case import Case
from assay.engine.cost import CostFunction, Given
from assay.engine.declare import scorer
from assay.engine.gradients.activation_maps import units_layer
from assay.engine.neighbourhoods.neighbourhood import classifies, explained_near, looked_at_labels
from assay.engine.neighbourhoods.relative_stability import relative_stability, relative_to
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Explanation


def _priced() -> CostFunction:
    """The layer at each draw and at the rows themselves, and one pass of one row where it must be found."""

    def priced(case: Case, o: Given, again: Cost) -> Cost:
        near = explained_near(lambda case, o: 1 + looked_at_labels(case, o))(case, o, again)
        return near + Cost(case.model.passes * (len(case) + (o.layer is None)))

    return priced


@scorer(source="agarwal2022", better="lower", needs={"net", "numbers"}, cost=_priced())
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
    """The largest relative change of the explanation for a relative change of a hidden layer, among small moves.

    RRS = max_δ ‖(φ(x + δ) − φ(x)) / φ(x)‖ / max(‖(a(x + δ) − a(x)) / a(x)‖, ``floor``), a being the activations of
    ``layer`` (its dotted name; None: the last that gives maps, else the last hidden one, told in a note); 0 … ∞, 0 is
    best. Parts and units below ``share`` of their row's largest magnitude are left out, and draws at which another
    class is predicted (extra["flipped"]); extra["floored"] counts the draws that met ``floor``. Undefined where no draw
    is left, or where φ or a is 0. Draws are those of ``max_sensitivity``; prediction and layer there are asked beside.

    Quantus takes all layers together unless told, puts 1e-6 for activations of 0 and for φ = 0, and gives NaN for a row
    with one flipped draw.
    """
    place, notes = case.explanation_cache.kept(("layer", layer), lambda: units_layer(case, layer))

    def activation(key: object, at: Case) -> Floats:
        def asked() -> Floats:
            return to_floats(at.from_layer(place).rows.x).reshape(len(case), -1).copy()

        return case.explanation_cache.once(("activations", place, key), asked)

    relative = relative_to(activation("here", case), share)

    def change(draw: int, x: Array, outputs: Floats) -> PerRow:
        return relative(activation((ball, draw), case.at(x)))

    found = relative_stability(
        explanation, case, ball, draws, change, share=share, floor=floor, looked=classifies(case)
    )
    return replace(found, notes=notes)
