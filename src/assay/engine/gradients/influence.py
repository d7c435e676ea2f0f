# SPDX-License-Identifier: Apache-2.0
"""Gradients of a target, averaged over a distribution of points, read at the input or at a layer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from assay.basics.types import Array, Floats
from assay.cases.case import KEPT, Case
from assay.engine.gradients.distributions import Distribution, Node
from assay.model.model import Slope
from assay.nouns.inputs.features import units
from assay.nouns.inputs.rows import double, joined, to_floats
from assay.nouns.results.result import Estimate


def influence(
    case: Case, over: Distribution, *, layer: str | None = None, along: bool = True, power: int = 1
) -> Estimate:
    """Σ weight · (∂f/∂s)(z) · m(z) over the nodes z of a distribution, (row, *s), summed in float64.

    The slice s is the input, or the activations of ``layer``. On a path the multiplier m is ds/dα, how the slice moves
    as the path runs (at the input: x − start; at a layer: its derivative in forward mode), so the terms add up to the
    target's rise; without a path, or with ``along=False``, it is 1. ``power`` 2 sums the squares of the gradients.

    Where the nodes are random draws the standard error of each part's mean comes along.
    """
    total: Array = 0.0
    parts, mean, squares, seen = None, np.zeros(()), np.zeros(()), 0
    sampled = over.draws > 1 and not case.live
    for node, slope in slopes(case, over, layer, along):
        moved = node.along if layer is None else slope.pushed
        gradient = double(slope.gradient) ** power
        term = node.weight * (gradient if moved is None or not along else gradient * double(moved))
        total = total + term
        if sampled:  # Welford's update: equal draws leave exactly 0
            parts = parts or (case.features if layer is None else units(term.shape[1:]))
            each = parts.pool(to_floats(term)) * over.draws
            seen += 1
            step = each - mean
            mean = mean + step / seen
            squares = squares + step * (each - mean)
    stderr = np.sqrt(squares / (over.draws - 1) / over.draws) if sampled else None
    base: Floats | None = over.base(case) if along and power == 1 and not case.live else None
    if layer is None:
        return Estimate(total, stderr, base)
    return Estimate(total, stderr, base, features=units(total.shape[1:]), x=case.from_layer(layer).rows.x)


def slopes(
    case: Case, over: Distribution, layer: str | None = None, along: bool = True
) -> Iterator[tuple[Node, Slope]]:
    """The gradient at each node of a distribution; as many nodes at a time as fit one model batch."""
    nodes, rows = over.nodes(case), len(case)
    together = max(1, case.room(KEPT) // rows)
    while group := list(islice(nodes, together)):
        points, which = joined([node.point for node in group]), np.tile(np.arange(rows), len(group))
        if layer is None:
            gradient = case.gradient(points, which)
            found = Slope(gradient, points)
        else:
            moving = along and group[0].along is not None
            directions = joined([node.along for node in group]) if moving else None
            found = case.slope(points, layer, which, directions)
        for place, node in enumerate(group):
            part = slice(place * rows, (place + 1) * rows)
            pushed = None if found.pushed is None else found.pushed[part]
            yield node, Slope(found.gradient[part], found.activation[part], pushed)
