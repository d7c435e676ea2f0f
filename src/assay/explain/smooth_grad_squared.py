# SPDX-License-Identifier: Apache-2.0
"""SmoothGrad squared."""

from dataclasses import replace

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.influence import influence
from assay.engine.gradients.noise import noisy_copies
from assay.nouns.results.result import Estimate


@explainer(
    source="hooker2019",
    needs={"gradient", "numbers"},
    claims={"dummy"},
    cost=per_row(lambda o: o.draws, lambda o: o.draws),
)
def smooth_grad_squared(case: Case, *, noise: float = 0.15, draws: int = 16) -> Estimate:
    """The target's squared gradient with respect to the input, averaged over noisy copies of the input.

    The mean of (∂f/∂x)² over ``draws`` points x + σ·N(0, 1), in squared target units per squared input unit; never
    negative. σ is the fraction ``noise`` of the row's own range, max − min over all its elements, as in smooth_grad. It
    is the square of SmoothGrad plus VarGrad, so it is large where the gradient has a large mean or a large variance.
    Features of several elements get the sum.

    captum.NoiseTunnel calls it smoothgrad_sq and takes σ in input units.
    """
    cloud, notes = noisy_copies(case, noise, draws)
    return replace(influence(case, cloud, power=2), notes=notes)
