# SPDX-License-Identifier: Apache-2.0
"""LayerCAM."""

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import (
    ChannelAxis,
    compute_maps_and_gradient,
    layer_maps_cost,
    upsample_to_input,
)
from assay.nouns.results.result import Estimate


@explainer(source="jiang2021", needs={"gradient", "net", "maps"}, cost=layer_maps_cost())
def layer_cam(
    case: Case, *, layer: str | None = None, signed: bool = False, channel_axis: ChannelAxis | None = None
) -> Estimate:
    """The sum over a layer's channels of activation times positive gradient, position by position.

    ReLU(Σ_k ReLU(∂f/∂A_k) · A_k), in units of the target: unlike Grad-CAM it has a weight for every position, so it is
    useful at early layers, too. ``signed=True`` drops both ReLUs: the plain sum of gradient × activation. ``layer``,
    upsampling and ``extra["map"]`` are as for grad_cam.

    The paper rescales maps of early layers and applies tanh to them; neither is done here.
    """
    maps = compute_maps_and_gradient(case, layer, channel_axis)
    weights = maps.gradient if signed else np.maximum(maps.gradient, 0.0)
    return upsample_to_input(case, maps, (weights * maps.activation).sum(axis=1), signed)
