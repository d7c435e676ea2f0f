# SPDX-License-Identifier: Apache-2.0
"""Discovery of concepts by non-negative matrix factorisation."""

from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.concepts.activations import content_order, from_positions, other_case, position_matrix
from assay.engine.concepts.discovery import discovery_cost, importance_of, names_of, stability_lines, stability_note
from assay.engine.concepts.factors import find_factors
from assay.engine.concepts.game import concept_case
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import find_units_layer
from assay.nouns.inputs.features import elements
from assay.nouns.results.result import Estimate


@explainer(source="craft2023", needs={"gradient", "net", "numbers", "shared parts"}, cost=discovery_cost)
def concept_discovery(
    case: Case,
    *,
    reference: Any,
    layer: str | None = None,
    concepts: int = 10,
    halves: bool = False,
    starts: int = 3,
    importance: Literal["shapley", "sobol", "deletion"] = "shapley",
    budget: int = 1024,
    rest: Literal["keep", "drop"] = "keep",
) -> Estimate:
    """How much the concepts that are found in a layer's activations contribute to the target.

    The activations A (row · position, unit) of the ``reference`` rows at a layer are factorised, A ≈ U W with U, W ≥ 0
    and so many ``concepts``, by NMF from the singular vectors (nndsvda). The amounts U of the rows explained are the
    exact non-negative least squares for these W, so that no row depends on another. The net from the layer on then
    reads U W + E, where E is the rest A − U W (``rest="keep"``, so that with all concepts the target is that of the
    row) or 0 (``"drop"``, as CRAFT, Fel et al. 2023).

    Values (row, concept), with U of absent concepts at 0: ``"shapley"`` values, in units of the target, whose sum is
    the target minus the target without concepts; ``"deletion"``, the fall of the target when a concept alone is
    removed; ``"sobol"``, the total Sobol index for presences drawn evenly, a share of the variance, 0 … 1. At most
    ``budget`` coalitions are evaluated; where all fit there is no sampling error.

    ``extra["directions"]`` (concept, unit) is what one unit of a concept adds to the activations, ``extra["codes"]``
    (row, position, concept) its amounts, ``x`` their mean over positions. ``extra["stability"]`` (concept,): median
    cosine with the matching concept of ``starts`` random starts; below 0.9 a concept is named "(unstable)", with a
    note. ``extra["explained"]``: the share of the variance of the reference's activations that the concepts describe,
    and the same for activations whose units are shuffled between rows.

    ``layer`` is a dotted name; ``None`` takes the last layer that gives maps, else the last hidden layer, with a note.
    Activations below 0 are refused (``CapabilityError``) and never clipped; ``halves=True`` factorises
    [max(A, 0), max(−A, 0)]. A concept set is complete for a question and not for a model: measure it with
    ``explain.concept_shap``.
    """
    if starts < 0:
        raise InputError(f"starts={starts}; it is at least 0.")
    name, notes = find_units_layer(case, layer)
    known = position_matrix(other_case(case, reference, "reference").from_layer(name))
    factors = find_factors(
        known.reshape(-1, known.shape[2]), concepts, halves, starts, name, case.seed.child("concept_discovery")
    )
    order = content_order(case)
    inner = case.take(order).from_layer(name)
    own = position_matrix(inner)
    codes = factors.codes(own.reshape(-1, own.shape[2])).reshape(*own.shape[:2], concepts)
    left = own - codes @ factors.directions if rest == "keep" else np.zeros_like(own)
    names = names_of(factors)
    players = concept_case(inner, codes, factors.directions, names, from_positions(inner, left))
    found = importance_of(players, importance, budget)
    back = np.argsort(order)
    return Estimate(
        np.asarray(found.values)[back],
        None if found.stderr is None else np.asarray(found.stderr)[back],
        base=None if found.base is None else np.asarray(found.base)[back],
        notes=(*notes, *stability_note(factors, starts)),
        extra={
            "directions": factors.directions,
            "codes": codes[back],
            "stability": factors.stability,
            "explained": np.array([factors.explained, factors.shuffled]),
        },
        features=elements((concepts,), names),
        x=codes[back].mean(axis=1),
        output=players.output[back],
        description=(
            f"{concepts} concepts of layer {name!r} describe {factors.explained:.0%} of the variance of its "
            f"activations ({factors.shuffled:.0%} where units are shuffled)",
            *stability_lines(factors),
        ),
    )
