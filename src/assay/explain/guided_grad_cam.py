# SPDX-License-Identifier: Apache-2.0
"""Guided Grad-CAM."""

from collections.abc import Sequence
from dataclasses import replace

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import (
    ChannelAxis,
    compute_maps_and_gradient,
    grad_cam_map,
    layer_maps_cost,
    upsample_to_input,
)
from assay.engine.gradients.backward_pass import modified_gradient
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate


@explainer(
    source="selvaraju2017",
    needs={"gradient", "net", "maps"},
    cost=layer_maps_cost(lambda case, o: 2, lambda case, o: 2),
)
def guided_grad_cam(
    case: Case,
    *,
    layer: str | None = None,
    signed: bool = False,
    allow: Sequence[str] = (),
    channel_axis: ChannelAxis | None = None,
) -> Estimate:
    """Guided backprop multiplied, element by element, by Grad-CAM upsampled to the input.

    The sign is that of guided backprop; in target units squared per input unit, so only position and sign have a
    meaning. ``layer`` and ``signed`` are Grad-CAM's, ``allow`` is guided backprop's: operations other than rectifiers
    that keep their own derivative. Guided backprop hardly depends on the class; the Grad-CAM map does.

    captum.GuidedGradCam upsamples by nearest neighbour by default, and has rules for modules only.
    """
    maps = compute_maps_and_gradient(case, layer, channel_axis)
    cam = upsample_to_input(case, maps, grad_cam_map(maps), signed)
    fine = to_floats(modified_gradient(case, "explain.guided_grad_cam", guided=True, allow=allow).values)
    return replace(cam, values=fine * cam.values * case.rows.shape[maps.input_axis])
