# SPDX-License-Identifier: Apache-2.0
"""Class activation maps."""

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import activated, of_maps, pooled_weights, shown
from assay.nouns.results.result import Estimate


@explainer(source="zhou2016", needs={"net", "image", "pooled"}, cost=of_maps(backwards=lambda case, o: 0))
def cam(case: Case, *, layer: str | None = None, signed: bool = False) -> Estimate:
    """Where a layer's channels are active, each weighted as the net's last linear layer weights its mean.

    ReLU(Σ_k w_k A_k) with w_k the weight of channel k for the target, for nets that end in global average pooling and
    one linear layer: without the ReLU (``signed=True``) the map's mean over positions is the logit less its bias.
    Asked of anything linear in the scores (a logit, a contrast, a value); that target = w · mean(A) + b is verified on
    every row, to 10⁻⁴ of its size, and other nets and targets are refused: grad_cam is for them. ``layer``, the
    enlarging and ``extra["map"]`` are as for grad_cam.

    The paper draws maps stretched to a colour scale; here they keep sign and scale, and no ReLU is in its formula.
    """
    maps = activated(case, layer)
    weights = pooled_weights(case, maps)
    return shown(case, maps, np.einsum("rk,rkhw->rhw", weights, maps.activation), signed)
