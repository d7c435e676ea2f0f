# SPDX-License-Identifier: Apache-2.0
"""Grad-CAM++."""

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import (
    ChannelAxis,
    compute_maps_and_gradient,
    layer_maps_cost,
    upsample_to_input,
    weighted_sum,
)
from assay.nouns.results.result import Estimate


@explainer(source="chattopadhyay2018", needs={"gradient", "net", "maps"}, cost=layer_maps_cost())
def grad_cam_plus_plus(
    case: Case, *, layer: str | None = None, signed: bool = False, channel_axis: ChannelAxis | None = None
) -> Estimate:
    """The sum of a layer's channel activations, each weighted by a weighted mean of its positive gradients.

    ReLU(Σ_k w_k A_k), w_k = Σ_positions α · ReLU(g), α = g² / (2 g² + g³ Σ_positions A_k) with g = ∂f/∂A_k. This is
    the paper's closed form for the score exp(f), whose derivatives are exp(f) times powers of g where f is piecewise
    linear in A; the factor exp(f), one per row, is omitted from w, so that values are in units of the target. α is 0
    where its denominator is 0; where the denominator is negative so is α, as in the paper. ``signed=True`` drops the
    outer ReLU only. ``layer``, upsampling and ``extra["map"]`` are as for grad_cam.

    Other packages rescale the map to [0, 1]; here it keeps sign and scale.
    """
    maps = compute_maps_and_gradient(case, layer, channel_axis)
    gradient, active = maps.gradient, maps.activation
    denominator = 2 * gradient**2 + gradient**3 * active.sum(axis=maps.position_axes, keepdims=True)
    alpha = np.divide(gradient**2, denominator, out=np.zeros_like(gradient), where=denominator != 0)
    weights = (alpha * np.maximum(gradient, 0.0)).sum(axis=maps.position_axes)
    return upsample_to_input(case, maps, weighted_sum(weights, active), signed)
