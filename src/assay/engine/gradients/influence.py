# SPDX-License-Identifier: Apache-2.0
"""Gradients of a target with respect to the input or a layer, averaged over a distribution of points."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from assay.basics.types import Array, Floats
from assay.cases.case import GRADIENT_COPIES, Case
from assay.engine.gradients.distributions import Distribution, Node
from assay.model.model import LayerGradient
from assay.nouns.inputs.rows import concatenate, to_double, to_floats
from assay.nouns.results.result import Estimate


def influence(
    case: Case, over: Distribution, *, layer: str | None = None, along: bool = True, power: int = 1
) -> Estimate:
    """Σ weight · (∂f/∂s)(z) · m(z) over the nodes z of a distribution, (row, *s), summed in float64.

    s is the input, or the activations of ``layer``. On a path the multiplier m is ds/dα, the derivative of s along the
    path (at the input: x − start; at a layer: computed in forward mode), so the terms add up to the target's change;
    without a path, or with ``along=False``, m is 1. ``power`` 2 sums the squares of the gradients.

    If the nodes are random draws, the result has the standard error of each feature's mean.
    """
    total: Array = 0.0
    features, mean, squares, seen = None, np.zeros(()), np.zeros(()), 0
    sampled = over.draws > 1 and not case.live
    for node, slope in gradients_at_nodes(case, over, layer, along):
        derivative = node.along if layer is None else slope.directional_derivative
        gradient = to_double(slope.gradient) ** power
        term = node.weight * (gradient if derivative is None or not along else gradient * to_double(derivative))
        total = total + term
        if sampled:  # Welford's update: equal draws leave exactly 0
            features = features or (case.features if layer is None else case.unit_features(layer, term.shape[1:]))
            each = features.pool(to_floats(term)) * over.draws
            seen += 1
            step = each - mean
            mean = mean + step / seen
            squares = squares + step * (each - mean)
    stderr = np.sqrt(squares / (over.draws - 1) / over.draws) if sampled else None
    base: Floats | None = over.base(case) if along and power == 1 and not case.live else None
    if layer is None:
        return Estimate(total, stderr, base)
    inner = case.from_layer(layer, case.unit_features(layer, total.shape[1:]))
    return Estimate(total, stderr, base, features=inner.features, x=inner.rows.x)


def gradients_at_nodes(
    case: Case, over: Distribution, layer: str | None = None, along: bool = True
) -> Iterator[tuple[Node, LayerGradient]]:
    """The gradient at each node of a distribution; nodes are grouped to fill one model batch."""
    nodes, rows = over.nodes(case), len(case)
    group_size = max(1, case.max_batch_rows(GRADIENT_COPIES) // rows)
    while group := list(islice(nodes, group_size)):
        points, which = concatenate([node.point for node in group]), np.tile(np.arange(rows), len(group))
        if layer is None:
            gradient = case.gradient(points, which)
            found = LayerGradient(gradient, points)
        else:
            on_path = along and group[0].along is not None
            directions = concatenate([node.along for node in group]) if on_path else None
            found = case.layer_gradient(points, layer, which, directions)
        for number, node in enumerate(group):
            own = slice(number * rows, (number + 1) * rows)
            derivative = None if found.directional_derivative is None else found.directional_derivative[own]
            yield node, LayerGradient(found.gradient[own], found.activation[own], derivative)
