# SPDX-License-Identifier: Apache-2.0
"""Grad-CAM."""

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import (
    ChannelAxis,
    compute_maps_and_gradient,
    grad_cam_map,
    layer_maps_cost,
    upsample_to_input,
)
from assay.nouns.results.result import Estimate


@explainer(source="selvaraju2017", needs={"gradient", "net", "maps"}, cost=layer_maps_cost())
def grad_cam(
    case: Case, *, layer: str | None = None, signed: bool = False, channel_axis: ChannelAxis | None = None
) -> Estimate:
    """The sum of a layer's channel activations, each weighted by the target's mean gradient over its positions.

    ReLU(Σ_k w_k A_k) with w_k the mean over positions of ∂f/∂A_k: per position, in units of the target. Where the head
    is linear in the channels' means (average pooling, one linear layer) it is the class activation map divided by the
    number of positions. 0 where the weighted sum is negative; ``signed=True`` keeps negative values. Rows are signals,
    images or volumes. ``layer`` is a dotted name; ``None`` takes the last layer that gives maps and is not a pooling
    layer, with a note. Which axes hold channels, of the layer and of the input, is read from the net's operations;
    where they do not tell, ``channel_axis`` ("first" after the row, or "last") is asked for. The map is upsampled
    linearly along every axis and split evenly over the input's channels; ``extra["map"]`` (row, *positions) has the
    layer's own size. The input is assumed to have the same grid as the net's own input.

    pytorch-grad-cam rescales every map to [0, 1], which loses sign and scale; nothing is normalised here.
    """
    maps = compute_maps_and_gradient(case, layer, channel_axis)
    return upsample_to_input(case, maps, grad_cam_map(maps), signed)
