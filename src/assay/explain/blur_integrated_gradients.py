# SPDX-License-Identifier: Apache-2.0
"""Blur integrated gradients."""

from assay.cases.case import Case
from assay.engine.cost import of_influence
from assay.engine.declare import explainer
from assay.engine.gradients.distributions import BlurPath
from assay.engine.gradients.influence import influence
from assay.nouns.results.result import Estimate


@explainer(
    source="xu2020",
    needs={"gradient", "image"},
    claims={"complete"},
    cost=of_influence(lambda o: BlurPath(o.sigma, o.steps)),
)
def blur_integrated_gradients(case: Case, *, sigma: float = 50.0, steps: int = 32) -> Estimate:
    """Share out the target's rise from a blurred picture to the picture itself, along the path that clears it.

    ∫₀¹ ∂f/∂z · dz/dα dα, where z(α) is the picture under Gaussian blur that narrows from ``sigma`` pixels to none, by
    Gauss–Legendre quadrature with ``steps`` nodes; in units of the target. The start holds no detail finer than
    ``sigma`` but keeps the colours, so nothing hangs on a choice of black. Channels are blurred one by one with
    mirrored edges; dz/dα is exact. The residual is the quadrature's error.

    The authors' code cuts the kernel off and takes differences of blurred pictures for dz/dα.
    """
    return influence(case, BlurPath(sigma, steps))
