# SPDX-License-Identifier: Apache-2.0
"""Spatial compactness."""

import numpy as np

from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.engine.attributions.attribution_shares import shares
from assay.engine.attributions.part_adjacency import middles
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="assay2026", better="neither", needs={"image"}, cost=free)
def spatial_compactness(explanation: Explanation, case: Case) -> Estimate:
    """How closely attribution lies together in the picture: 1 at one place, 0 spread as evenly as the parts.

    1 − s / s₀, where s is the root mean square distance of the parts' middles from the centre of |φ|, weighted by |φ|,
    and s₀ the same with every part weighted by its number of elements; at most 1, below 0 where attribution lies at
    opposite borders. extra["spread"] is s in pixels. Parts a row lacks do not count. It does not change with scale, nor
    with the pixels' number; a finer cut changes it little. Undefined where all values are 0, or all parts have one
    middle. No model call. Neither better nor worse: what a model looks at may lie apart.

    quantus' MST-C takes hull and spanning tree of the points above a percentile; it depends on that percentile.
    """
    place = middles(case)
    share = shares(explanation, case)
    sizes = np.broadcast_to(case.features.sizes, share.shape).astype(np.float64)
    near, even = _spread(share, place), _spread(sizes / sizes.sum(axis=1, keepdims=True), place)
    ratio = np.divide(near, even, out=np.full(near.shape, np.nan), where=even > 0)
    return Estimate(1.0 - ratio, extra={"spread": near})


def _spread(weight: Floats, place: Floats) -> PerRow:
    """Root mean square distance (row,) from the weighted centre; weights (row, part) sum to 1, places are in pixels."""
    held = np.nan_to_num(place, nan=0.0)  # parts that are not there weigh nothing
    centre = np.einsum("rp,rpx->rx", weight, held)
    away = ((held - centre[:, None]) ** 2).sum(axis=2)
    return np.sqrt((weight * away).sum(axis=1))
