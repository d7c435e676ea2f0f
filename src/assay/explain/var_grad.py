# SPDX-License-Identifier: Apache-2.0
"""VarGrad."""

from array_api_compat import is_torch_array

from assay.basics.errors import InputError
from assay.basics.types import Array
from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.influence import slopes
from assay.engine.gradients.noise import around
from assay.nouns.results.result import Estimate


@explainer(
    source="adebayo2018local",
    needs={"gradient", "numbers"},
    claims={"dummy"},
    cost=per_row(lambda o: o.draws, lambda o: o.draws),
)
def var_grad(case: Case, *, noise: float = 0.15, draws: int = 16) -> Estimate:
    """How unsteady the target's gradient is around the input: its variance over noisy copies.

    The unbiased variance of ∂f/∂x over ``draws`` points x + σ·N(0, 1), in squared target units per squared input unit;
    never negative, 0 where f is a straight line. σ is the fraction ``noise`` of the row's own range, max − min over all
    its elements, as in smooth_grad. Says where f bends, not which way it goes. Parts of several elements get the sum.

    captum.NoiseTunnel (vargrad) divides by ``draws`` and takes σ in input units.
    """
    if draws < 2:
        raise InputError(f"draws={draws}; a variance needs at least 2.")
    cloud, notes = around(case, noise, draws)
    mean: Array = 0.0
    squares: Array = 0.0
    for seen, (_, slope) in enumerate(slopes(case, cloud), start=1):  # Welford's update
        gradient = slope.gradient.double() if is_torch_array(slope.gradient) else slope.gradient
        step = gradient - mean
        mean = mean + step / seen
        squares = squares + step * (gradient - mean)
    return Estimate(squares / (draws - 1), notes=notes)
