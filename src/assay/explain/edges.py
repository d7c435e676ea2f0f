# SPDX-License-Identifier: Apache-2.0
"""Edges of the image, as a reference for scores."""

import numpy as np
from scipy.ndimage import correlate1d

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.cost import free
from assay.engine.declare import explainer
from assay.nouns.inputs.rows import to_floats


@explainer(source="sobel1968", needs={"image"}, claims={"reference"}, cost=free)
def edges(case: Case) -> Floats:
    """The edge strength of the image at a pixel; the model is not evaluated.

    √(G_x² + G_y²) of the channels' mean under Sobel's 3 × 3 operator (weights 1 2 1), borders reflected; in input
    units, never negative, split equally over a pixel's channels. A reference without information on the model: many
    explanations of images look like edges (Adebayo and others 2018). There is no base.
    """
    grey = to_floats(case.rows.x).mean(axis=1)
    down, across = (
        correlate1d(correlate1d(grey, (-1, 0, 1), axis=along, mode="reflect"), (1, 2, 1), axis=other, mode="reflect")
        for along, other in ((1, 2), (2, 1))
    )
    channels = case.rows.shape[0]
    return np.repeat(np.hypot(down, across)[:, None] / channels, channels, axis=1)
