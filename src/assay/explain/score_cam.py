# SPDX-License-Identifier: Apache-2.0
"""Score-CAM."""

from typing import Any

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import activated, counted, of_maps, shown
from assay.engine.removal.channel_masking import most_active, scores
from assay.nouns.results.result import Estimate


@explainer(
    source="wang2020",
    needs={"net", "image"},
    cost=of_maps(
        lambda case, o: 1 + min(counted(case, o.layer, maps=True), o.channels or 2**62),
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
) -> Estimate:
    """Where a layer's channels are active, each weighted by the target of the input seen through it alone.

    ReLU(Σ_k w_k A_k), w = softmax over channels of f(x ∘ H_k + start ∘ (1 − H_k)), where H_k is the map A_k enlarged to
    the input and stretched to [0, 1], as in the paper. The paper's increase over f(start) gives the same softmax. So
    values are in units of the activation, and the weights of a row add up to 1. A channel that is the same everywhere
    shows no place and gets the weight 0. It needs no gradient, but one forward pass for each channel; ``channels``
    keeps to those with the highest mean activation, each row its own. ``start`` (a number, a row, or a row each) fills
    what is masked. ``layer``, the enlarging and ``extra["map"]`` are as for grad_cam.

    The softmax depends on the scale of the target: ask for a probability and it is nearly even, for a logit and one
    channel may take it all. The reference code uses the logit. The map itself is not stretched here.
    """
    maps = activated(case, layer)
    chosen, notes = most_active(maps, channels)
    weights = scores(case, maps, chosen, start)
    active = np.take_along_axis(maps.activation, chosen[:, :, None, None], axis=1)
    told = maps.telling(*notes)
    return shown(case, told, np.einsum("rk,rkhw->rhw", weights, active), signed)
