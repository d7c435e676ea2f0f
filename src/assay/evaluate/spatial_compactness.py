# SPDX-License-Identifier: Apache-2.0
"""Spatial compactness."""

import numpy as np

from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.engine.attributions.attribution_shares import fractional_contributions
from assay.engine.attributions.part_adjacency import part_centroids
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="assay2026", better="neither", needs={"image"}, cost=free)
def spatial_compactness(explanation: Explanation, case: Case) -> Estimate:
    """How concentrated in space the attribution of an image is: 1 at one position, 0 spread like the features.

    1 − s / s₀. s is the root mean square distance of the features' centroids from the centre of |φ|, weighted by |φ|;
    s₀ is the same with every feature weighted by its number of elements. At most 1, below 0 where attribution lies at
    opposite borders. extra["spread"] is s in pixels. Features that a row lacks are excluded. It does not depend on
    scale, nor on the number of pixels; a finer segmentation changes it little. Undefined where all values are 0, or all
    features have one centroid. Needs no model evaluations. Neither high nor low is better: the evidence that a model
    uses may be spread out.

    quantus' MST-C takes convex hull and spanning tree of the points above a percentile, and depends on that percentile.
    """
    centroids = part_centroids(case)
    share = fractional_contributions(explanation, case)
    sizes = np.broadcast_to(case.features.sizes, share.shape).astype(np.float64)
    spread, uniform = _spread(share, centroids), _spread(sizes / sizes.sum(axis=1, keepdims=True), centroids)
    ratio = np.divide(spread, uniform, out=np.full(spread.shape, np.nan), where=uniform > 0)
    return Estimate(1.0 - ratio, extra={"spread": spread})


def _spread(weight: Floats, centroids: Floats) -> PerRow:
    """Root mean square distance (row,) in pixels from the weighted centre; weights (row, part) sum to 1."""
    positions = np.nan_to_num(centroids, nan=0.0)  # absent features have weight 0
    centre = np.einsum("rp,rpx->rx", weight, positions)
    squares = ((positions - centre[:, None]) ** 2).sum(axis=2)
    return np.sqrt((weight * squares).sum(axis=1))
