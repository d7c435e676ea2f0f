# SPDX-License-Identifier: Apache-2.0
"""SmoothGrad."""

from dataclasses import replace

import numpy as np
from array_api_compat import array_namespace

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.influence import Gaussian, influence
from assay.engine.price import per_row
from assay.nouns.frames import some
from assay.nouns.result import Estimate, Note
from assay.nouns.rows import to_floats
from assay.words.errors import InputError


@explainer(
    source="smilkov2017",
    needs={"gradient", "numbers"},
    claims={"dummy", "linear", "differentiable"},
    price=per_row(lambda o: o.draws, lambda o: o.draws),
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
    if noise < 0:
        raise InputError(f"noise={noise}; a fraction of the row's range is at least 0.")
    x = case.rows.x
    xp = array_namespace(x)
    flat = xp.reshape(x, (len(case), -1))
    spread = xp.max(flat, axis=1) - xp.min(flat, axis=1)
    sigma = xp.reshape(noise * spread, (-1, *(1,) * len(case.rows.shape)))
    mean = influence(case, Gaussian(sigma, draws))
    still = np.flatnonzero(to_floats(spread) == 0)
    if len(still):
        text = f"no noise for {len(still)} rows whose elements are all equal: {some(still)}"
        mean = replace(mean, notes=(Note("no-noise", text, tuple(case.rows.ids[i] for i in still)),))
    if signed:
        return mean
    return replace(mean, values=xp.abs(mean.values), stderr=mean.stderr if case.features.elementwise else None)
