# SPDX-License-Identifier: Apache-2.0
"""Conductance."""

from typing import Any

from assay.cases.case import Case
from assay.engine.cost import of_influence
from assay.engine.declare import explainer
from assay.engine.gradients.distributions import Line
from assay.engine.gradients.influence import influence
from assay.nouns.results.result import Estimate


@explainer(
    source="dhamdhere2019",
    needs={"gradient", "numbers"},
    claims={"complete", "dummy", "linear", "differentiable"},
    cost=of_influence(lambda o: Line(steps=o.steps)),
)
def conductance(case: Case, *, layer: str | None = None, start: Any = 0.0, steps: int = 32) -> Estimate:
    """Integrated gradients distributed over a layer's units: the target's change from ``start`` to the input.

    ∫₀¹ ∂f/∂a · da/dα dα, by Gauss–Legendre quadrature with ``steps`` nodes: the integrated gradients that pass through
    each unit of ``layer`` (its dotted name; ``None`` is the input, which gives integrated gradients), in units of the
    target. da/dα is exact, computed in forward mode. Where all connections from input to output cross the layer the
    values add up to f(x) − f(start), and the residual is the quadrature's error; with a skip connection around the
    layer the residual includes what passes through it. A channel's positions are summed; ``map()`` keeps them apart.

    captum.LayerConductance takes differences of activations between nodes for da/dα, which needs more nodes.
    """
    return influence(case, Line(start, steps), layer=layer)
