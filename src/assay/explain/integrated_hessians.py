# SPDX-License-Identifier: Apache-2.0
"""Integrated Hessians."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from assay.basics.types import Array, Floats, Ints
from assay.cases.case import KEPT, Case
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.engine.gradients.distributions import gauss_logarithm, started
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    parts = len(case.features)
    each = Cost(1 + o.steps * (1 + parts), o.steps * (1 + 2 * parts))
    return each * (len(case) * case.model.passes)


@explainer(source="janizek2021", needs={"gradient", "net", "numbers"}, claims={"complete"}, cost=_cost)
def integrated_hessians(case: Case, *, start: Any = 0.0, steps: int = 16) -> Estimate:
    """Share out the target's rise from ``start`` to the input among pairs of parts, and each part's pairs summed.

    Γ_ij = Δ_i Δ_j ∫∫ αβ ∂²f/∂x_i∂x_j(s + αβΔ) dα dβ with Δ = x − s, to which Δ_i ∫∫ ∂f/∂x_i(s + αβΔ) dα dβ is added
    where i = j: integrated gradients applied to integrated gradients, in units of the target. The double integrals are
    single ones over t = αβ with the weight −ln t, taken by a Gauss rule of ``steps`` nodes for that weight. A pair of
    parts has the sum over its elements. ``extra["interactions"]`` (row, part, part) is symmetric: off the diagonal what
    two parts do together (each half of it), on it what a part does alone. ``values`` are a part's sums over all others:
    its integrated gradients. Elements of no part keep their value. The residual is the quadrature's error.

    Second derivatives come from the net by differentiating twice, one product a part, a node and a row. Where a net has
    kinks (ReLU) they are zero almost everywhere, interactions vanish and the residual shows what is missing; the paper
    puts softplus in their place: explain ``assay.model.softplus_surrogate(model)``.

    The paper's code takes a Riemann sum over a grid of α and β, which needs far more nodes.
    """
    origin = started(case, start)
    moved = to_floats(case.rows.x - origin)
    rows, parts = len(case), len(case.features)
    pairs = np.zeros((rows, parts, parts))
    for weight, slope in _slopes(case, origin, steps):
        pairs[:, np.arange(parts), np.arange(parts)] += case.features.pool(weight * slope * moved)
    for weight, part, bent in _bends(case, origin, steps):
        joint = weight * bent * moved
        pairs[:, part] += case.features.pool(joint)
    interactions = (pairs + np.swapaxes(pairs, 1, 2)) / 2
    return Estimate(interactions.sum(axis=2), base=case.value(origin), extra={"interactions": interactions})


def _slopes(case: Case, origin: Array, steps: int) -> Iterator[tuple[float, Floats]]:
    """The gradient at each node, with the node's weight; as many nodes at a time as fit one model batch."""
    difference = case.rows.x - origin
    for group in _together(case, gauss_logarithm(steps)):
        joined = array_namespace(difference).concat([origin + place * difference for place, _ in group])
        found = to_floats(case.gradient(joined, _rows(case, group)))
        for (_, weight), slope in zip(group, found.reshape(len(group), len(case), *case.rows.shape)):
            yield weight, slope


def _bends(case: Case, origin: Array, steps: int) -> Iterator[tuple[float, int, Floats]]:
    """The Hessian at each node times each part of the line's direction, with t times the node's weight and the part."""
    difference = case.rows.x - origin
    xp = array_namespace(difference)

    def along(part: int) -> Array:
        return difference * xp.asarray(case.features.index == part, dtype=difference.dtype, device=difference.device)

    nodes = gauss_logarithm(steps)
    asked = ((place, weight, part) for part in range(len(case.features)) for place, weight in nodes)
    for group in _together(case, asked):
        joined = xp.concat([origin + place * difference for place, _, _ in group])
        directions = xp.concat([along(part) for _, _, part in group])
        found = to_floats(case.curvature(joined, directions, _rows(case, group)))
        for (place, weight, part), bent in zip(group, found.reshape(len(group), len(case), *case.rows.shape)):
            yield place * weight, part, bent


def _together(case: Case, asked: Iterable[Any]) -> Iterator[list[Any]]:
    queue = iter(asked)
    while group := list(islice(queue, max(1, case.room(8 * KEPT) // len(case)))):
        yield group


def _rows(case: Case, group: list[Any]) -> Ints:
    return np.tile(np.arange(len(case)), len(group))
