# SPDX-License-Identifier: Apache-2.0
"""SmoothGrad."""

from dataclasses import replace

from array_api_compat import array_namespace

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.influence import influence
from assay.engine.gradients.noise import noisy_copies
from assay.nouns.results.result import Estimate


@explainer(
    source="smilkov2017",
    needs={"gradient", "numbers"},
    claims={"dummy", "linear", "differentiable"},
    cost=per_row(lambda o: o.draws, lambda o: o.draws),
)
def smooth_grad(case: Case, *, noise: float = 0.15, draws: int = 16, signed: bool = True) -> Estimate:
    """The target's gradient with respect to the input, averaged over noisy copies of the input.

    The mean of ∂f/∂x over ``draws`` points x + σ·N(0, 1), in target units per input unit; signed, as in the paper. σ is
    the fraction ``noise`` of the row's own range, max − min over all its elements (the paper's noise level): meant for
    images and other rows of one unit. In a table the column with the widest range sets σ for all, so standardise the
    columns first. A row whose elements are all equal gets no noise, and a note.

    ``signed=False`` gives the absolute value of the mean, not the mean of absolute values. ``stderr`` is that of the
    signed mean of a feature; it bounds the error of the absolute value for single elements, and is omitted for features
    of several elements.

    captum.NoiseTunnel takes σ in input units, and over its Saliency averages absolute gradients.
    """
    cloud, notes = noisy_copies(case, noise, draws)
    mean = replace(influence(case, cloud), notes=notes)
    if signed:
        return mean
    xp = array_namespace(mean.values)
    return replace(mean, values=xp.abs(mean.values), stderr=mean.stderr if case.features.elementwise else None)
