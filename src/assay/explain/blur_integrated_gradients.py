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
    """Integrated gradients along the path from a blurred image to the image.

    ∫₀¹ ∂f/∂z · dz/dα dα, where z(α) is the image under a Gaussian blur that decreases from ``sigma`` pixels to 0, by
    Gauss–Legendre quadrature with ``steps`` nodes; in units of the target. The baseline is the blurred image: it has no
    detail finer than ``sigma`` but the image's colours, so no baseline colour must be chosen. Channels are blurred
    separately with mirrored edges; dz/dα is exact. The residual is the quadrature's error.

    The authors' code truncates the kernel and takes differences of blurred images for dz/dα.
    """
    return influence(case, BlurPath(sigma, steps))
