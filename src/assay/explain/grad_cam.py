# SPDX-License-Identifier: Apache-2.0
"""Grad-CAM."""

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import gradient_weighed, of_maps, shown, sloped
from assay.nouns.results.result import Estimate


@explainer(source="selvaraju2017", needs={"gradient", "net", "image"}, cost=of_maps())
def grad_cam(case: Case, *, layer: str | None = None, signed: bool = False) -> Estimate:
    """Where a layer's channels are active, each weighted by the target's mean gradient over its positions.

    ReLU(Σ_k w_k A_k) with w_k the mean over positions of ∂f/∂A_k: per position, in units of the target. Where the head
    is linear in the channels' means (average pooling, one linear layer) it is the class activation map divided by the
    number of positions. Zero where the weighted sum is negative; ``signed=True`` keeps it. ``layer`` is a dotted name;
    ``None`` takes the last that gives maps and is no pooling, and a note says which. The map is enlarged bilinearly
    and spread evenly over the input's channels; ``extra["map"]`` (row, height, width) has the layer's own size. The
    input is taken to lie on the same grid as the net's own input.

    pytorch-grad-cam stretches every map to [0, 1], which loses sign and scale; nothing is normalised here.
    """
    maps = sloped(case, layer)
    return shown(case, maps, gradient_weighed(maps), signed)
