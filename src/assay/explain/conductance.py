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
    """Share out the target's rise along the straight line from ``start`` to the input among a layer's units.

    ∫₀¹ ∂f/∂a · da/dα dα, by Gauss–Legendre quadrature with ``steps`` nodes: how much of the integrated gradients flows
    through each unit of ``layer`` (its dotted name; ``None`` is the input, which gives integrated gradients), in units
    of the target. da/dα is exact, taken in forward mode. Where all paths from input to output cross the layer the
    values add up to f(x) − f(start), and the residual is the quadrature's error; beside a skip connection it is what
    flows round the layer. Values are those of units, a channel's positions summed; ``map()`` keeps every position.

    captum.LayerConductance takes differences of activations between nodes for da/dα, which needs more of them.
    """
    return influence(case, Line(start, steps), layer=layer)
