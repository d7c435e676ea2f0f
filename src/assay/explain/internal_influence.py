# SPDX-License-Identifier: Apache-2.0
"""Internal influence."""

from assay.cases.case import Case
from assay.engine.cost import of_influence
from assay.engine.declare import explainer
from assay.engine.gradients.distributions import Distribution, Line
from assay.engine.gradients.influence import influence
from assay.nouns.results.result import Estimate


@explainer(
    source="leino2018",
    needs={"gradient", "numbers"},
    claims={"dummy", "linear", "differentiable"},
    cost=of_influence(along=False),
)
def internal_influence(case: Case, *, layer: str | None = None, over: Distribution = Line()) -> Estimate:
    """The target's gradient with respect to a layer's units, averaged over a distribution of inputs.

    Σ w · ∂f/∂a(z) over the weighted points z of ``over``, where a are the activations of ``layer`` (its dotted name;
    ``None`` is the input): in target units per unit of activation. ``over`` is a Point, Line, Lines, Gaussian, Uniform,
    BlurPath, Path or any object with ``nodes``. Values of a layer are those of its units, a channel's positions summed;
    ``map()`` keeps every position. Values have no completeness, so there is no base.

    captum.InternalInfluence agrees for a line with the same nodes; the paper allows any distribution, as here.
    """
    return influence(case, over, layer=layer, along=False)
