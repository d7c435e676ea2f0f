# SPDX-License-Identifier: Apache-2.0
"""VarGrad."""

from array_api_compat import is_torch_array

from assay.basics.errors import InputError
from assay.basics.types import Array
from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.influence import gradients_at_nodes
from assay.engine.gradients.noise import noisy_copies
from assay.nouns.results.result import Estimate


@explainer(
    source="adebayo2018local",
    needs={"gradient", "numbers"},
    claims={"dummy"},
    cost=per_row(lambda o: o.draws, lambda o: o.draws),
)
def var_grad(case: Case, *, noise: float = 0.15, draws: int = 16) -> Estimate:
    """The variance of the target's gradient with respect to the input over noisy copies of the input.

    The unbiased variance of ∂f/∂x over ``draws`` points x + σ·N(0, 1), in squared target units per squared input unit;
    never negative, 0 where f is linear. σ is the fraction ``noise`` of the row's own range, max − min over all its
    elements, as in smooth_grad. It measures the curvature of f, not its slope. Features of several elements get the
    sum.

    captum.NoiseTunnel (vargrad) divides by ``draws`` and takes σ in input units.
    """
    if draws < 2:
        raise InputError(f"draws={draws}; a variance needs at least 2.")
    cloud, notes = noisy_copies(case, noise, draws)
    mean: Array = 0.0
    squares: Array = 0.0
    for count, (_, found) in enumerate(gradients_at_nodes(case, cloud), start=1):  # Welford's update
        gradient = found.gradient.double() if is_torch_array(found.gradient) else found.gradient
        step = gradient - mean
        mean = mean + step / count
        squares = squares + step * (gradient - mean)
    return Estimate(squares / (draws - 1), notes=notes)
