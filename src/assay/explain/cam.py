# SPDX-License-Identifier: Apache-2.0
"""Class activation maps."""

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import (
    ChannelAxis,
    cam_weights,
    compute_maps,
    layer_maps_cost,
    upsample_to_input,
    weighted_sum,
)
from assay.nouns.results.result import Estimate


@explainer(source="zhou2016", needs={"net", "maps", "pooled"}, cost=layer_maps_cost(backwards=lambda case, o: 0))
def cam(
    case: Case, *, layer: str | None = None, signed: bool = False, channel_axis: ChannelAxis | None = None
) -> Estimate:
    """The class activation map: a layer's channels weighted by the target's weights in the last linear layer.

    ReLU(Σ_k w_k A_k) with w_k the weight of channel k for the target, for nets that end in global average pooling and
    one linear layer: without the ReLU (``signed=True``) the map's mean over positions is the logit minus its bias. The
    target must be linear in the scores (a logit, a contrast, a value): target = w · mean(A) + b is checked on every
    row, to 10⁻⁴ of its size; for other nets and targets, which are refused, use grad_cam. ``layer``, upsampling and
    ``extra["map"]`` are as for grad_cam.

    The paper rescales maps to a colour scale and has no ReLU in its formula; here maps keep sign and scale.
    """
    maps = compute_maps(case, layer, channel_axis)
    weights = cam_weights(case, maps)
    return upsample_to_input(case, maps, weighted_sum(weights, maps.activation), signed)
