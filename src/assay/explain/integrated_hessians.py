# SPDX-License-Identifier: Apache-2.0
"""Integrated Hessians."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from assay.basics.types import Array, Floats, Ints
from assay.cases.case import GRADIENT_COPIES, Case
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.engine.gradients.distributions import broadcast_start
from assay.engine.gradients.quadrature import gauss_logarithm
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    parts = len(case.features)
    each = Cost(1 + o.steps * (1 + parts), o.steps * (1 + 2 * parts))
    return each * (len(case) * case.model.passes_per_row)


@explainer(source="janizek2021", needs={"gradient", "net", "numbers"}, claims={"complete"}, cost=_cost)
def integrated_hessians(case: Case, *, start: Any = 0.0, steps: int = 16) -> Estimate:
    """The target's change from a baseline to the input, distributed over pairs of features by second derivatives.

    Γ_ij = Δ_i Δ_j ∫∫ αβ ∂²f/∂x_i∂x_j(s + αβΔ) dα dβ with Δ = x − s (s the baseline ``start``), to which
    Δ_i ∫∫ ∂f/∂x_i(s + αβΔ) dα dβ is added where i = j: integrated gradients applied to integrated gradients, in units
    of the target. The double integrals are single ones over t = αβ with the weight −ln t, computed by a Gauss rule of
    ``steps`` nodes for that weight. A pair of features has the sum over its elements. ``extra["interactions"]``
    (row, part, part) is symmetric: off the diagonal half of each pair's interaction, on it a feature's main effect.
    ``values`` are the sums over the second feature: integrated gradients. Elements outside all features keep their
    value. The residual is the quadrature's error.

    Second derivatives are computed by differentiating the net twice: one Hessian-vector product per feature, node and
    row. For ReLU nets they are 0 almost everywhere, so interactions are 0 and the residual shows what is missing; the
    paper replaces ReLU by softplus: explain ``assay.model.softplus_surrogate(model)``.

    The paper's code takes a Riemann sum over a grid of α and β, which needs far more nodes.
    """
    origin = broadcast_start(case, start)
    difference = to_floats(case.rows.x - origin)
    rows, parts = len(case), len(case.features)
    pairs = np.zeros((rows, parts, parts))
    for weight, gradient in _gradients(case, origin, steps):
        pairs[:, np.arange(parts), np.arange(parts)] += case.features.pool(weight * gradient * difference)
    for weight, part, product in _hessian_products(case, origin, steps):
        pairs[:, part] += case.features.pool(weight * product * difference)
    interactions = (pairs + np.swapaxes(pairs, 1, 2)) / 2
    return Estimate(interactions.sum(axis=2), base=case.value(origin), extra={"interactions": interactions})


def _gradients(case: Case, origin: Array, steps: int) -> Iterator[tuple[float, Floats]]:
    """The node's weight and the gradient at each node; nodes are grouped to fill one model batch."""
    difference = case.rows.x - origin
    for group in _batches(case, gauss_logarithm(steps)):
        joined = array_namespace(difference).concat([origin + t * difference for t, _ in group])
        found = to_floats(case.gradient(joined, _rows(case, group)))
        for (_, weight), gradient in zip(group, found.reshape(len(group), len(case), *case.rows.shape)):
            yield weight, gradient


def _hessian_products(case: Case, origin: Array, steps: int) -> Iterator[tuple[float, int, Floats]]:
    """t times the node's weight, the feature, and the Hessian times the feature's component of x − s, at each node."""
    difference = case.rows.x - origin
    xp = array_namespace(difference)

    def component(part: int) -> Array:
        return difference * xp.asarray(case.features.index == part, dtype=difference.dtype, device=difference.device)

    nodes = gauss_logarithm(steps)
    products = ((t, weight, part) for part in range(len(case.features)) for t, weight in nodes)
    for group in _batches(case, products):
        joined = xp.concat([origin + t * difference for t, _, _ in group])
        directions = xp.concat([component(part) for _, _, part in group])
        found = to_floats(case.curvature(joined, directions, _rows(case, group)))
        for (t, weight, part), product in zip(group, found.reshape(len(group), len(case), *case.rows.shape)):
            yield t * weight, part, product


def _batches(case: Case, items: Iterable[Any]) -> Iterator[list[Any]]:
    queue = iter(items)
    while group := list(islice(queue, max(1, case.max_batch_rows(8 * GRADIENT_COPIES) // len(case)))):
        yield group


def _rows(case: Case, group: list[Any]) -> Ints:
    return np.tile(np.arange(len(case)), len(group))
