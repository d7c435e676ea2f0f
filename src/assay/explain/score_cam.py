# SPDX-License-Identifier: Apache-2.0
"""Score-CAM."""

from typing import Any

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import (
    ChannelAxis,
    compute_maps,
    count_units,
    layer_maps_cost,
    upsample_to_input,
    weighted_sum,
)
from assay.engine.removal.channel_masking import channel_weights, most_active_channels
from assay.nouns.results.result import Estimate


@explainer(
    source="wang2020",
    needs={"net", "maps"},
    cost=layer_maps_cost(
        lambda case, o: 1 + min(count_units(case, o.layer, maps=True), o.channels or 2**62),
        lambda case, o: 0,
    ),
)
def score_cam(
    case: Case,
    *,
    layer: str | None = None,
    signed: bool = False,
    start: Any = 0.0,
    channels: int | None = None,
    channel_axis: ChannelAxis | None = None,
) -> Estimate:
    """The sum of a layer's channel activations, each weighted by the target of the input masked by its own map.

    ReLU(Σ_k w_k A_k), w = softmax over channels of f(x ∘ H_k + start ∘ (1 − H_k)), where H_k is the map A_k upsampled
    to the input and rescaled to [0, 1], as in the paper. The paper's increase over f(start) gives the same softmax. So
    values are in units of the activation, and the weights of a row add up to 1. A channel with a constant map selects
    no position and gets the weight 0. It needs no gradient, but one forward pass per channel; ``channels`` limits them
    to those with the highest mean activation in each row. ``start`` (a number, one row, or one row each) is the
    baseline of masked positions. ``layer``, upsampling and ``extra["map"]`` are as for grad_cam.

    The softmax depends on the scale of the target: for a probability the weights are nearly equal, for a logit one
    channel may get almost all weight. The reference code uses the logit. The map itself is not rescaled here.
    """
    maps = compute_maps(case, layer, channel_axis)
    chosen, notes = most_active_channels(maps, channels)
    weights = channel_weights(case, maps, chosen, start)
    active = np.take_along_axis(
        maps.activation, chosen.reshape(*chosen.shape, *(1 for _ in maps.position_axes)), axis=1
    )
    return upsample_to_input(case, maps.with_notes(*notes), weighted_sum(weights, active), signed)
