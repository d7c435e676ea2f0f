# SPDX-License-Identifier: Apache-2.0
"""Influence-directed explanations."""

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import units_layer
from assay.engine.gradients.distributions import Distribution, Point
from assay.engine.gradients.influence import influence
from assay.engine.gradients.influential_units import asked, carried, priced, regions_of
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate


@explainer(source="leino2018", needs={"gradient", "net", "numbers"}, cost=priced)
def influential_units(
    case: Case, *, layer: str | None = None, over: Distribution = Point(), top: int = 10, regions: int = 3
) -> Estimate:
    """How fast the target moves when a unit of a layer moves; which few units carry it; and what in the input they see.

    Values (row, unit) are the internal influence Σ w · ∂f/∂a(z) over the points z of ``over``, a channel's positions
    summed, in target units per unit of activation. Units are ranked by their mean value over the rows, highest first:
    ``extra["order"]`` (unit,). ``extra["kept"]`` and ``extra["removed"]`` (row, 1 + top) are the target with only the
    first k units kept, and with the first k set to 0; ``extra["share_kept"]`` and ``extra["share_removed"]``
    (1 + top,) are the mean of (kept − none), or (removed − none), over the mean of (all − none), with bootstrap
    intervals over rows in ``…_interval`` (1 + top, low and high); undefined (NaN), with a note, where the layer as a
    whole does nothing. ``extra["regions"]`` (unit, row, *shape) is the influence of the input on each of the first
    ``regions`` units, a channel taken as its mean over positions: what they look at.

    ``layer`` is a dotted name; ``None`` takes the last that gives maps, or else the last hidden layer, and a note says
    which. The ranking depends on the rows together, values do not. A layer of fewer units than ``top`` or ``regions``
    is ranked whole. The paper shows its units as pictures; peers have the influence alone.
    """
    asked(top, regions)
    place, notes = units_layer(case, layer)
    inner = influence(case, over, layer=place, along=False)
    assert inner.features is not None
    values = inner.features.pool(to_floats(inner.values))
    order = np.argsort(-values.mean(axis=0), kind="stable")
    shares, told = carried(case.from_layer(place, inner.features), case.output, order[: min(top, len(order))])
    seen = {"regions": regions_of(case, place, over, order[: min(regions, len(order))])} if regions else {}
    return Estimate(
        inner.values,
        inner.stderr,
        notes=(*notes, *told),
        extra={"order": order.astype(np.float64), **shares, **seen},
        features=inner.features,
        x=inner.x,
    )
