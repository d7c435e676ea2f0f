# SPDX-License-Identifier: Apache-2.0
"""Influence-directed explanations."""

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import find_units_layer
from assay.engine.gradients.distributions import Distribution, Point
from assay.engine.gradients.influence import influence
from assay.engine.gradients.influential_units import ablate_units, influential_units_cost, require_counts, unit_regions
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate


@explainer(source="leino2018", needs={"gradient", "net", "numbers"}, cost=influential_units_cost)
def influential_units(
    case: Case, *, layer: str | None = None, over: Distribution = Point(), top: int = 10, regions: int = 3
) -> Estimate:
    """The target's mean gradient with respect to a layer's units, and the effect of the units that rank highest.

    Values (row, unit) are the internal influence Σ w · ∂f/∂a(z) over the points z of ``over``, a channel's positions
    summed, in target units per unit of activation. Units are ranked by their mean value over the rows, highest first:
    ``extra["order"]`` (unit,). ``extra["kept"]`` and ``extra["removed"]`` (row, 1 + top) are the target with only the
    first k units kept, and with the first k set to 0; ``extra["share_kept"]`` and ``extra["share_removed"]``
    (1 + top,) are the mean of (kept − none), or (removed − none), over the mean of (all − none), with bootstrap
    intervals over rows in ``…_interval`` (1 + top, low and high); undefined (NaN), with a note, where the layer as a
    whole has no effect. ``extra["regions"]`` (unit, row, *shape) is the influence of the input on each of the first
    ``regions`` units, a channel taken as its mean over positions.

    ``layer`` is a dotted name; ``None`` takes the last layer that gives maps, or without maps the last hidden layer,
    with a note. The ranking depends on all rows together, values do not. If a layer has fewer units than ``top`` or
    ``regions``, all are used. The paper shows its units as images; other packages have the influence only.
    """
    require_counts(top, regions)
    name, notes = find_units_layer(case, layer)
    inner = influence(case, over, layer=name, along=False)
    assert inner.features is not None
    values = inner.features.pool(to_floats(inner.values))
    order = np.argsort(-values.mean(axis=0), kind="stable")
    shares, share_notes = ablate_units(
        case.from_layer(name, inner.features), case.output, order[: min(top, len(order))]
    )
    regions_ = {"regions": unit_regions(case, name, over, order[: min(regions, len(order))])} if regions else {}
    return Estimate(
        inner.values,
        inner.stderr,
        notes=(*notes, *share_notes),
        extra={"order": order.astype(np.float64), **shares, **regions_},
        features=inner.features,
        x=inner.x,
    )
