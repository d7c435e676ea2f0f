# SPDX-License-Identifier: Apache-2.0
"""SmoothGrad."""

from dataclasses import replace

from array_api_compat import array_namespace

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.influence import influence
from assay.engine.gradients.noise import around
from assay.nouns.results.result import Estimate


@explainer(
    source="smilkov2017",
    needs={"gradient", "numbers"},
    claims={"dummy", "linear", "differentiable"},
    cost=per_row(lambda o: o.draws, lambda o: o.draws),
)
def smooth_grad(case: Case, *, noise: float = 0.15, draws: int = 16, signed: bool = True) -> Estimate:
    """How fast the target moves when an element moves, averaged over noisy copies of the input.

    The mean of ∂f/∂x over ``draws`` points x + σ·N(0, 1), in target units per input unit; signed, as in the paper. σ is
    the fraction ``noise`` of the row's own range, max − min over all its elements (the paper's noise level): meant for
    images and other rows of one unit. In a table the widest column sets σ for all, so standardise the columns first. A
    row whose elements are all equal gets no noise, and a note.

    ``signed=False`` gives the size of the mean, not the mean of the sizes. ``stderr`` is that of the signed mean of a
    part; it bounds the error of the size for single elements, and is left out for parts of several.

    captum.NoiseTunnel takes σ in input units, and over its Saliency averages absolute gradients.
    """
    cloud, notes = around(case, noise, draws)
    mean = replace(influence(case, cloud), notes=notes)
    if signed:
        return mean
    xp = array_namespace(mean.values)
    return replace(mean, values=xp.abs(mean.values), stderr=mean.stderr if case.features.elementwise else None)
