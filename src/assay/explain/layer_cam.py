# SPDX-License-Identifier: Apache-2.0
"""LayerCAM."""

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import of_maps, shown, sloped
from assay.nouns.results.result import Estimate


@explainer(source="jiang2021", needs={"gradient", "net", "image"}, cost=of_maps())
def layer_cam(case: Case, *, layer: str | None = None, signed: bool = False) -> Estimate:
    """Where a layer's activations are high and raising them would raise the target.

    ReLU(Σ_k ReLU(∂f/∂A_k) · A_k), position by position, in units of the target: unlike Grad-CAM it has a weight for
    every position, so that it means something at early layers too. ``signed=True`` drops both ReLUs: the plain sum of
    gradient × activation. ``layer``, the enlarging and ``extra["map"]`` are as for grad_cam.

    The paper puts maps of early layers through tanh after stretching them; neither is done here.
    """
    maps = sloped(case, layer)
    weights = maps.gradient if signed else np.maximum(maps.gradient, 0.0)
    return shown(case, maps, (weights * maps.activation).sum(axis=1), signed)
