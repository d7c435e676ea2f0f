# SPDX-License-Identifier: Apache-2.0
"""Grad-CAM++."""

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import of_maps, shown, sloped
from assay.nouns.results.result import Estimate


@explainer(source="chattopadhyay2018", needs={"gradient", "net", "image"}, cost=of_maps())
def grad_cam_plus_plus(case: Case, *, layer: str | None = None, signed: bool = False) -> Estimate:
    """Where a layer's channels are active, each weighted by its positive gradients, rare ones more.

    ReLU(Σ_k w_k A_k), w_k = Σ_positions α · ReLU(g), α = g² / (2 g² + g³ Σ_positions A_k) with g = ∂f/∂A_k. This is
    the paper's closed form for the score exp(f), whose derivatives are exp(f) times powers of g where f is piecewise
    linear in A; the factor exp(f), one a row, is left out of w, so that values are in units of the target. α is 0 where
    its denominator is; where the denominator is negative so is α, as in the paper. ``signed=True`` drops the outer ReLU
    alone. ``layer``, the enlarging and ``extra["map"]`` are as for grad_cam.

    Peers stretch the map to [0, 1]; here sign and scale stay.
    """
    maps = sloped(case, layer)
    slope, active = maps.gradient, maps.activation
    below = 2 * slope**2 + slope**3 * active.sum(axis=(2, 3), keepdims=True)
    alpha = np.divide(slope**2, below, out=np.zeros_like(slope), where=below != 0)
    weights = (alpha * np.maximum(slope, 0.0)).sum(axis=(2, 3))
    return shown(case, maps, np.einsum("rk,rkhw->rhw", weights, active), signed)
